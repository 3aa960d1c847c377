"""Injected faults are met once, by whoever comes, and look like the kernel's own."""

from __future__ import annotations

import errno
import os
import subprocess

import pytest
from machine_driver import SECONDS

from vfioctl.testing import scenarios
from vfioctl.wait import until

GPU = scenarios.GPU
OVERRIDE = f"/sys/bus/pci/devices/{GPU}/driver_override"


@pytest.fixture
def machine(machine_of):
    return machine_of(scenarios.generic_nic())


@pytest.mark.parametrize("number", [errno.EBUSY, errno.ENODEV, errno.EIO])
def test_a_write_fails_as_often_as_told(machine, number):
    machine.kernel.fail_write(OVERRIDE, number, count=2)
    for _ in range(2):
        with pytest.raises(OSError, match=os.strerror(number)):
            machine.write(OVERRIDE[1:], "vfio-pci")
    machine.write(OVERRIDE[1:], "vfio-pci")
    assert machine.read(OVERRIDE[1:]) == "vfio-pci"


def test_a_fault_can_let_the_first_writes_pass_and_ask_for_a_value(machine):
    machine.kernel.fail_write("/sys/bus/pci/drivers_probe", errno.EIO, value=GPU, skip=1)
    machine.write("sys/bus/pci/drivers_probe", GPU)
    machine.write("sys/bus/pci/drivers_probe", "0000:00:1f.6")
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        machine.write("sys/bus/pci/drivers_probe", GPU)


def test_an_injected_hang_ignores_sigkill_and_lands_when_released(machine):
    machine.kernel.hang_write(OVERRIDE)
    writer = machine.write_in_background(OVERRIDE[1:], "vfio-pci")
    assert until(lambda: machine.is_blocked(writer), SECONDS)
    writer.kill()
    assert not until(lambda: writer.poll() is not None, 0.3)
    assert machine.read(OVERRIDE[1:]) == "(null)"
    machine.kernel.release()
    assert machine.ended(writer)
    assert machine.read(OVERRIDE[1:]) == "vfio-pci"


def test_a_probe_can_fail_silently(machine):
    machine.kernel.fail_probe(GPU, "vfio-pci", count=1)
    machine.to_vfio(GPU)
    assert machine.driver(GPU) is None
    machine.write("sys/bus/pci/drivers_probe", GPU)
    assert machine.driver(GPU) == "vfio-pci"


def test_a_program_can_fail_hang_or_be_missing(machine):
    machine.kernel.fail_program("systemctl", 4, arguments="stop *")
    assert machine.run("systemctl", "is-system-running").returncode == 0
    assert machine.run("systemctl", "stop", "libvirtd").returncode == 4
    machine.kernel.hang_program("modprobe")
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(
            [machine.root / "usr/bin/modprobe", "vfio"], env={"PATH": machine.host.paths.programs}, timeout=0.5,
            check=False,
        )  # fmt: skip
    machine.kernel.remove_program("modprobe")
    with pytest.raises(FileNotFoundError):
        machine.run("modprobe", "vfio")


def test_loading_a_module_can_fail(machine):
    machine.kernel.fail_module("vfio_pci", "load", errno.EIO)
    assert machine.run("modprobe", "vfio-pci").returncode == 1
    assert machine.run("modprobe", "vfio-pci").returncode == 0


def test_writes_and_calls_are_logged_in_order(machine):
    machine.kernel.clear_log()
    machine.run("modprobe", "vfio-pci")
    machine.write(OVERRIDE[1:], "vfio-pci")
    assert [one["argv"] for one in machine.kernel.calls()] == [["modprobe", "vfio-pci"]]
    (write,) = machine.kernel.writes()
    assert write["path"].endswith(f"{GPU}/driver_override")
    assert (write["value"], write["pid"], write["result"]) == ("vfio-pci", os.getpid(), 0)


def test_a_request_that_cannot_be_done_says_why(machine):
    with pytest.raises(LookupError, match="KeyError"):
        machine.kernel.disappear("0000:99:00.0")
