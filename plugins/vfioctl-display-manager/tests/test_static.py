"""What the core knows about the plugin without importing it."""

from __future__ import annotations

import os

import vfioctl_display_manager
from vfioctl_display_manager.desktop import KNOWN

from vfioctl.config.schema import plugin_setting
from vfioctl.plugin.static import read_static

STATIC = read_static(os.path.dirname(vfioctl_display_manager.__file__))


def test_the_static_data_is_valid_and_names_the_plugin():
    assert (STATIC["name"], STATIC["api"], STATIC["claims"]) == ("display-manager", 2, [])


def test_every_setting_has_a_default_of_its_type():
    settings = {key: plugin_setting(f"display-manager.{key}", row) for key, row in STATIC["config"].items()}
    assert {key: setting.default for key, setting in settings.items()} == {
        "stop_deadline": 15.0, "verify": True, "verify_deadline": 60.0, "warn": True, "start_again": True,
    }  # fmt: skip


def test_the_core_may_stop_the_display_managers_that_the_plugin_knows():
    assert STATIC["units"] == list(KNOWN)
