"""A host that would fall asleep with a guest's card, and a daemon that keeps its hooks from working."""

from __future__ import annotations

from typing import Any

import pytest
from doctored import every, found, says, writes

from vfioctl.doctor import daemon, power

IGNORED = "[Login]\nLidSwitchIgnoreInhibited=no\n"


@pytest.fixture
def booted(tree: Any) -> Any:
    """The host with systemd and its programs."""
    tree.with_systemd().program("systemd-inhibit", "exit 0")
    tree.program("systemctl", "exit 0")
    return tree


@pytest.fixture
def laptop(booted: Any) -> Any:
    booted.write("sys/bus/acpi/devices/PNP0C0D:00/path", "\\_SB_.LID0\n")
    return booted


def test_a_desktop_with_systemd_stays_awake(booted):
    assert found(power.findings, booted) == {}


def test_without_the_program_nothing_keeps_the_host_awake(booted):
    (booted.root / "usr/bin/systemd-inhibit").unlink()
    says(found(power.findings, booted), "power.no_inhibitor", "warn", "no systemd-inhibit")


def test_a_host_without_systemd_is_not_asked(tree):
    assert found(power.findings, tree) == {}


@pytest.mark.parametrize(("path", "text", "evidence"), [
    ("etc/systemd/nothing.conf", "", "the default is suspend"),
    ("etc/systemd/logind.conf", "[Login]\n;HandleLidSwitch=ignore\n", "the default is suspend"),
    ("usr/lib/systemd/logind.conf", "[Login]\nHandleLidSwitch=hibernate\n", "/usr/lib/systemd/logind.conf:2"),
    ("etc/systemd/logind.conf.d/zz.conf", "[Login]\nLidSwitchIgnoreInhibited=yes\n", "the default is suspend"),
])  # fmt: skip
def test_a_lid_puts_the_host_to_sleep(laptop, path, text, evidence):
    laptop.write(path, text)
    says(found(power.findings, laptop), "power.lid", "warn", evidence)


def test_of_two_main_files_the_one_of_etc_is_read_alone(laptop):
    laptop.write("usr/lib/systemd/logind.conf", IGNORED)
    laptop.write("etc/systemd/logind.conf", "[Login]\n")
    says(found(power.findings, laptop), "power.lid", "warn", "the default is suspend")


@pytest.mark.parametrize("change", [
    writes("etc/systemd/logind.conf", "[Login]\nHandleLidSwitch=ignore\n"),
    writes("etc/systemd/logind.conf.d/vfioctl.conf", IGNORED),
    lambda tree: (tree.write("usr/lib/systemd/logind.conf", "[Login]\nHandleLidSwitch=suspend\n"),
                  tree.write("etc/systemd/logind.conf", "[Login]\nHandleLidSwitch=lock\n")),
    every(writes("etc/systemd/logind.conf.d/aa.conf", "[Login]\nHandleLidSwitch=suspend\n"),
          writes("usr/lib/systemd/logind.conf.d/zz.conf", IGNORED)),
    every(writes("usr/lib/systemd/logind.conf.d/zz.conf", "[Login]\nLidSwitchIgnoreInhibited=yes\n"),
          writes("etc/systemd/logind.conf.d/zz.conf", IGNORED)),
    writes("run/systemd/logind.conf.d/a.conf", IGNORED),
])  # fmt: skip
def test_a_lid_that_is_ignored_does_not(laptop, change):
    change(laptop)
    assert found(power.findings, laptop) == {}


# ---------------------------------------------------------------- the daemon


def runs(tree: Any, pid: int, name: str) -> None:
    tree.write(f"proc/{pid}/comm", f"{name}\n")
    tree.write(f"proc/{pid}/stat", f"{pid} ({name}) S 1 {pid} {pid} 0 -1 0 " + "0 " * 12 + "100 0\n")
    tree.write(f"proc/{pid}/root/etc/libvirt/hooks/qemu")
    tree.write("proc/uptime", "1000.0 1000.0\n")


@pytest.fixture
def with_daemon(booted: Any) -> Any:
    runs(booted, 41, "libvirtd")
    return booted


def test_a_daemon_without_walls_is_well(with_daemon):
    assert found(daemon.findings, with_daemon) == {}


@pytest.mark.parametrize("name", ["ProtectKernelModules", "ProtectKernelTunables", "PrivateDevices"])
def test_a_wall_around_the_daemon_is_one_around_its_hooks(with_daemon, name):
    with_daemon.program("systemctl", f"for one in {' '.join(daemon.WALLS)}; do "
                        f"case $one in {name}) echo $one=yes;; *) echo $one=no;; esac; done")  # fmt: skip
    says(found(daemon.findings, with_daemon), "hook.walled_in", "block", f"{name} libvirtd.service")


def test_two_daemons_are_one_too_many(with_daemon):
    runs(with_daemon, 42, "virtqemud")
    says(found(daemon.findings, with_daemon), "hook.two_daemons", "warn", "/proc/PID/comm")
