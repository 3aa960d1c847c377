"""What the core knows about the plugin without importing it, and the host check."""

from __future__ import annotations

import os
from dataclasses import replace

import vfioctl_display_manager
from vfioctl_display_manager import plugin
from vfioctl_display_manager.desktop import KNOWN

from vfioctl.config.schema import plugin_setting
from vfioctl.host.host import Host
from vfioctl.plugin.static import read_static
from vfioctl.testing.model import FakeUnit

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


def run_check(fake):
    (check,) = plugin.vfioctl_doctor_checks()
    return check.run(Host(fake.paths, fake.programs))


def test_a_display_manager_with_its_alias_is_fine(start_host, desktops):
    assert run_check(start_host(desktops.greeter())) == ()


def test_a_running_display_manager_without_the_alias_is_named(start_host, desktops):
    fake = start_host(desktops.machine(units=(FakeUnit("greetd.service"), FakeUnit("sddm.service", active=False))))
    (finding,) = run_check(fake)
    assert (finding.code, finding.hint.split()[-1]) == ("display_manager.no_alias", "greetd.service")


def test_a_host_without_display_manager_or_systemd_is_fine(start_host, desktops):
    assert run_check(start_host(replace(desktops.machine(), systemd=False))) == ()
