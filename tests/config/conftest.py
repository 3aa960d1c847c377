"""A host's configuration directory, and one installed plugin with a table."""

from __future__ import annotations

import os

import pytest

from vfioctl.paths import Paths
from vfioctl.plugin.types import PluginInfo

TABLE = {
    "enabled": {"type": "bool", "default": False, "summary": "Whether it acts."},
    "keep": {"type": "int", "default": 5, "summary": "How many are kept."},
    "mode": {"type": "str", "default": "safe", "summary": "How.", "choices": ["safe", "fast"]},
    "disks": {"type": "table", "default": {}, "summary": "By disk.", "choices": ["require", "skip"]},
}


@pytest.fixture
def paths(tmp_path) -> Paths:
    tmp_path.chmod(0o755)
    return Paths(str(tmp_path))


@pytest.fixture
def plugins() -> dict[str, PluginInfo]:
    return {
        "demo": PluginInfo("demo", "1.0", 1, "demo.plugin", table=TABLE),
        "bare": PluginInfo("bare", "1.0", 1, "bare.plugin"),
        "wreck": PluginInfo("wreck", "1.0", 0, "wreck.plugin", status="broken: it does not load"),
    }


@pytest.fixture
def write(paths):
    """Writes a guest's file, or the host's when the guest is None."""

    def write(guest: str | None, text: str) -> str:
        file = paths.host_config if guest is None else paths.guest_config(guest)
        os.makedirs(os.path.dirname(file), mode=0o755, exist_ok=True)
        with open(file, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.chmod(file, 0o644)
        return file

    return write
