"""What the host's kernel remembers of the simulated machine is never older than the machine, for whoever asks."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from machine_driver import SECONDS

from vfioctl.testing import scenarios
from vfioctl.testing.model import FakeProcess
from vfioctl.wait import until

GPU, SOUND = scenarios.GPU, scenarios.SOUND
NAMED = """
import sys
for name in sys.stdin:
    open("/proc/self/comm", "w").write(name)
    print(flush=True)
"""


@pytest.fixture
def machine(machine_of):
    return machine_of(scenarios.two_gpu())


def test_a_name_that_was_not_there_is_found_as_soon_as_it_is(machine):
    group, device = machine.root / "dev/vfio/14", machine.root / machine.pci(SOUND, "vfio-dev")
    assert not group.exists()
    assert not device.exists()
    machine.to_vfio(SOUND)
    assert group.exists()
    assert device.is_dir()


def test_a_link_that_was_read_is_gone_or_another_after_the_write_that_changed_it(machine):
    assert machine.driver(SOUND) == "snd_hda_intel"
    machine.write("sys/bus/pci/drivers/snd_hda_intel/unbind", SOUND)
    assert machine.driver(SOUND) is None
    machine.to_vfio(SOUND)
    assert machine.driver(SOUND) == "vfio-pci"


def test_what_stood_below_a_directory_goes_with_it(machine):
    control = machine.root / machine.pci(SOUND, "sound/card0/controlC0/dev")
    assert control.read_text()
    machine.write("sys/bus/pci/drivers/snd_hda_intel/unbind", SOUND)
    assert not control.exists()


def test_a_listing_that_was_read_shows_the_next_change(machine):
    bound = machine.root / "sys/bus/pci/drivers/snd_hda_intel"
    assert SOUND in os.listdir(bound)
    assert SOUND in os.listdir(bound)
    machine.write(f"{bound}/unbind", SOUND)
    assert SOUND not in os.listdir(bound)
    machine.write("sys/bus/pci/drivers_probe", SOUND)
    assert SOUND in os.listdir(bound)


def test_a_listing_that_is_opened_before_a_change_and_read_after_it_does_not_stay(machine):
    bound = machine.root / "sys/bus/pci/drivers/snd_hda_intel"
    with os.scandir(bound) as early, os.scandir(bound) as twin:
        next(early)
        machine.write(f"{bound}/unbind", SOUND)
        assert SOUND not in os.listdir(bound)
        list(early)
        list(twin)
        assert SOUND not in os.listdir(bound)
    assert SOUND not in os.listdir(bound)
    machine.write("sys/bus/pci/drivers_probe", SOUND)
    assert SOUND in os.listdir(bound)


def test_a_process_that_ends_takes_its_files_along(machine):
    pid = machine.kernel.add_process(FakeProcess("holder", opens=("/dev/dri/card0",)))
    files = machine.root / f"proc/{pid}/fd"
    assert os.listdir(files)
    machine.kernel.end_process(pid)
    assert not files.exists()
    assert str(pid) not in os.listdir(machine.root / "proc")


def test_what_another_process_has_looked_up_changes_for_it_too(machine):
    code = """
import os, sys, time
path = sys.argv[1] + "/" + sys.argv[2]
assert os.path.islink(path)
open(sys.argv[3], "w").close()
while os.path.islink(path):
    time.sleep(0.01)
"""
    seen = machine.root / "seen"
    child = machine.in_background(code, machine.pci(SOUND, "driver"), str(seen))
    assert until(seen.exists, SECONDS)
    machine.write("sys/bus/pci/drivers/snd_hda_intel/unbind", SOUND)
    assert machine.ended(child)
    assert child.returncode == 0


def test_a_real_process_of_a_named_namespace_is_listed_by_the_name_that_it_has_now(machine):
    machine.kernel.list_namespace(os.readlink("/proc/self/ns/mnt"))
    with subprocess.Popen([sys.executable, "-c", NAMED], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        for name, listed in (("other", False), ("qemu-system-x86", True), ("other", False)):
            child.stdin.write(f"{name}\n".encode())
            child.stdin.flush()
            child.stdout.readline()
            assert (str(child.pid) in os.listdir(machine.root / "proc")) is listed
        child.stdin.close()
        child.wait(SECONDS)
    assert str(child.pid) not in os.listdir(machine.root / "proc")


def test_a_daemon_that_the_machine_did_not_start_is_not_listed(machine):
    with subprocess.Popen([sys.executable, "-c", NAMED], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdin.write(b"libvirtd\n")
        child.stdin.flush()
        child.stdout.readline()
        assert str(child.pid) not in os.listdir(machine.root / "proc")
        child.stdin.close()
        child.wait(SECONDS)
