"""The static table: it is valid, its defaults are those of the code, and a guest file is checked against it."""

from __future__ import annotations

import os

import pytest
import vfioctl_snapshot
from vfioctl_snapshot.settings import Settings

from vfioctl.config.load import load_guest
from vfioctl.errors import ConfigError
from vfioctl.events.model import Domain
from vfioctl.paths import Paths
from vfioctl.plugin.static import read_static
from vfioctl.plugin.types import PluginInfo, Request


@pytest.fixture
def info() -> PluginInfo:
    static = read_static(os.path.dirname(vfioctl_snapshot.__file__))
    return PluginInfo(static["name"], "0.1.0", static["api"], "vfioctl_snapshot.plugin", table=static["config"])


@pytest.fixture
def load(tmp_path, info):
    """The settings that a guest file gives."""
    paths = Paths(str(tmp_path))
    os.makedirs(paths.guest_configs, mode=0o755)

    def load(text: str):
        with open(paths.guest_config("win11"), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(paths.guest_config("win11"), 0o644)
        return load_guest(paths, "win11", {"snapshot": info})

    return load


def settings_of(config) -> Settings:
    return Settings.of(Request("win11", "u", Domain("win11", "u"), config, None, ()))


def test_the_defaults_of_the_table_are_those_of_the_code(load):
    assert settings_of(load("")) == Settings()
    assert not Settings().enabled


def test_a_guest_file_sets_every_value(load):
    text = '[snapshot]\nenabled = true\nkeep = 2\nname = "{date}.{time}"\n[snapshot.disks]\nvda = "require"\n'
    assert settings_of(load(text)) == Settings(
        enabled=True, keep=2, name="{date}.{time}", disks={"vda": "require"},
    )  # fmt: skip


def test_a_policy_that_does_not_exist_is_refused(load):
    with pytest.raises(ConfigError, match=r"snapshot\.disks: expected a table of strings, each"):
        load('[snapshot.disks]\nvda = "always"\n')
