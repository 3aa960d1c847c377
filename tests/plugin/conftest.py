"""Plugins written to files for one test, and the facts that hooks are asked with."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vfioctl.config.model import GuestConfig
from vfioctl.events.model import Domain
from vfioctl.host.host import Host
from vfioctl.host.model import PciDevice
from vfioctl.paths import Paths
from vfioctl.plugin.types import PluginInfo, Request
from vfioctl.proc import Programs

HEAD = """
from vfioctl.plugin.markers import hookimpl
from vfioctl.plugin.types import *
"""

CARD = PciDevice("0000:01:00.0", 0x030000, 0x10DE, 0x2204)

MakePlugin = Callable[..., PluginInfo]


@pytest.fixture
def make_plugin(tmp_path: Path) -> Iterator[MakePlugin]:
    """Write a plugin module and return its row of the manifest."""
    before = set(sys.modules)
    directory = tmp_path / "plugins"
    directory.mkdir()
    sys.path.insert(0, str(directory))

    def make(name: str, source: str, **row: object) -> PluginInfo:
        (directory / f"{name}_module.py").write_text(HEAD + textwrap.dedent(source))
        return PluginInfo(**{"name": name, "version": "1", "api": 1, "module": f"{name}_module", **row})

    yield make
    sys.path.remove(str(directory))
    for added in set(sys.modules) - before:
        if added.endswith("_module"):
            del sys.modules[added]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host with nothing on it."""
    paths = Paths(str(tmp_path / "host"))
    return Host(paths, Programs(paths.programs))


@pytest.fixture
def request_of(host: Host) -> Request:
    """One guest that gets one card."""
    return Request("win11", "u-u-i-d", Domain("win11", "u-u-i-d"), GuestConfig("win11"), host, (CARD,))
