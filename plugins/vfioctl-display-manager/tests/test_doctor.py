"""What of a desktop doctor finds: an alias that is missing, sessions that end, compositors on every card, settings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from vfioctl_display_manager import plugin

from vfioctl.host.host import Host
from vfioctl.testing.model import FakeUnit
from vfioctl.testing.scenarios import single_gpu_nvidia_desktop, two_gpu, two_screens


def run(fake) -> dict:
    """Every finding of the plugin's checks, by code."""
    host = Host(fake.paths, fake.programs)
    return {one.code: one for check in plugin.vfioctl_doctor_checks() for one in check.run(host)}


def test_a_greeter_with_its_alias_is_well(start_host, desktops):
    assert run(start_host(desktops.greeter())) == {}


def test_a_running_display_manager_without_the_alias_is_named(start_host, desktops):
    fake = start_host(desktops.machine(units=(FakeUnit("greetd.service"), FakeUnit("sddm.service", active=False))))
    found = run(fake)
    assert (set(found), found["display_manager.no_alias"].hint.split()[-1]) == (
        {"display_manager.no_alias"}, "greetd.service")  # fmt: skip


def test_a_host_without_display_manager_or_systemd_is_well(start_host, desktops):
    assert run(start_host(replace(desktops.machine(), systemd=False))) == {}


def test_a_session_on_the_only_card_ends_with_it(start_host):
    found = run(start_host(single_gpu_nvidia_desktop()))
    assert set(found) == {"session.ends"}
    assert "alice" in found["session.ends"].message


def test_a_session_of_a_text_login_is_not_started_again(start_host, desktops):
    assert set(run(start_host(desktops.tty_compositor()))) == {"session.ends", "session.by_hand"}


def test_with_another_card_no_session_need_end(start_host):
    assert run(start_host(two_gpu())) == {}


def test_a_desktop_on_every_card_is_told_how_to_leave_one(start_host):
    found = run(start_host(two_screens()))
    assert set(found) == {"display_manager.every_card"}
    assert ("AutoAddGPU" in found["display_manager.every_card"].hint, found["display_manager.every_card"].severity) == (
        True, "warn")  # fmt: skip


@pytest.mark.parametrize(("path", "text", "code"), [
    ("etc/environment", 'KWIN_DRM_DEVICES="/dev/dri/card7"\n', "display_manager.card_missing"),
    ("etc/environment.d/10-wlr.conf", "WLR_DRM_DEVICES=/dev/dri/card7:/dev/dri/card0\n",
     "display_manager.card_missing"),
    ("etc/X11/xorg.conf.d/20-gpu.conf", '    BusID "PCI:9:0:0"\n', "display_manager.xorg_bus"),
])  # fmt: skip
def test_a_setting_that_names_no_card_is_found(start_host, path, text, code):
    fake = start_host(two_gpu(logged_in=False))
    write(fake, path, text)
    found = run(fake)
    assert (set(found), found[code].evidence.startswith(f"/{path}:1")) == ({code}, True)


@pytest.mark.parametrize(("path", "text"), [
    ("etc/environment", "#KWIN_DRM_DEVICES=/dev/dri/card7\nKWIN_DRM_DEVICES=/dev/dri/card0\n"),
    ("etc/X11/xorg.conf", 'BusID "PCI:1:0:0"\nBusID "PCI:2@0:0:0"\n'),
])  # fmt: skip
def test_a_setting_that_names_a_card_is_well(start_host, path, text):
    fake = start_host(two_gpu(logged_in=False))
    write(fake, path, text)
    assert run(fake) == {}


def write(fake, path: str, text: str) -> None:
    file = Path(fake.root, path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
