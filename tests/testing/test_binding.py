"""Binding and unbinding answer as Linux 6.1 was seen to answer."""

from __future__ import annotations

import errno
import os
import signal
import stat

import pytest
from machine_driver import SECONDS

from vfioctl.testing import scenarios
from vfioctl.testing.model import FakeProcess
from vfioctl.wait import until

GPU, SOUND = scenarios.GPU, scenarios.SOUND


def hold(machine, *nodes, **fields):
    return machine.kernel.add_process(FakeProcess("holder", opens=nodes, **fields))


def test_override_unbind_and_probe_move_a_card_to_vfio_and_back(machine_of):
    machine = machine_of(scenarios.two_gpu())
    machine.to_vfio(SOUND)
    assert machine.driver(SOUND) == "vfio-pci"
    assert (machine.root / "dev/vfio/14").exists()
    machine.write(machine.pci(SOUND, "driver_override"), "\n")
    machine.write("sys/bus/pci/drivers/vfio-pci/unbind", SOUND)
    machine.write("sys/bus/pci/drivers_probe", SOUND)
    assert machine.driver(SOUND) == "snd_hda_intel"
    assert not (machine.root / "dev/vfio/14").exists()


def test_the_override_reads_null_when_there_is_none(machine_of):
    machine = machine_of(scenarios.generic_nic())
    assert machine.read(machine.pci(GPU, "driver_override")) == "(null)"


def test_drivers_probe_says_success_although_nothing_was_bound(machine_of):
    machine = machine_of(scenarios.generic_nic())
    machine.write(machine.pci(GPU, "driver_override"), "vfio-pci")
    machine.write("sys/bus/pci/drivers/igb/unbind", GPU)
    machine.write("sys/bus/pci/drivers_probe", GPU)
    assert machine.driver(GPU) is None


def test_unbinding_from_a_driver_that_the_device_is_not_on_gives_enodev(machine_of):
    machine = machine_of(scenarios.generic_nic())
    with pytest.raises(OSError, match=os.strerror(errno.ENODEV)):
        machine.write("sys/bus/pci/drivers/e1000e/unbind", GPU)


def test_loading_a_driver_probes_the_devices_without_one(machine_of):
    machine = machine_of(scenarios.generic_nic())
    machine.write("sys/bus/pci/drivers/igb/unbind", GPU)
    machine.write(machine.pci(GPU, "driver_override"), "vfio-pci")
    assert machine.run("modprobe", "vfio-pci").returncode == 0
    assert machine.driver(GPU) == "vfio-pci"


def test_a_held_sound_card_blocks_its_unbind_with_the_link_already_gone(machine_of):
    machine = machine_of(scenarios.single_gpu_nvidia_desktop())
    writer = machine.write_in_background("sys/bus/pci/drivers/snd_hda_intel/unbind", SOUND)
    assert until(lambda: machine.is_blocked(writer), SECONDS)
    assert machine.driver(SOUND) is None
    assert machine.run("systemctl", "--user", "--machine=1000@.host", "stop", "pipewire").returncode == 0
    assert machine.ended(writer)


@pytest.fixture
def wedged(machine_of):
    """The card whose nvidia remove() waits for its user; writer and user."""
    machine = machine_of(scenarios.two_nvidia(held=True))
    writer = machine.write_in_background("sys/bus/pci/drivers/nvidia/unbind", GPU)
    assert until(lambda: machine.is_blocked(writer), SECONDS)
    return machine, writer


def test_a_blocked_unbind_ignores_sigkill(wedged):
    machine, writer = wedged
    writer.send_signal(signal.SIGKILL)
    assert not until(lambda: writer.poll() is not None, 0.3)
    stat_line = (machine.root / f"proc/{writer.pid}/stat").read_text()
    assert stat_line.rpartition(")")[2].split()[0] == "D"


def test_the_unbind_of_a_busy_nvidia_card_returns_when_its_user_goes(wedged):
    machine, writer = wedged
    machine.kernel.end_process(5_000_300)
    assert machine.ended(writer)
    assert writer.returncode == 0


@pytest.mark.parametrize("name", ["driver_override", "uevent"])
def test_reading_under_the_device_lock_hangs(wedged, name):
    machine, _ = wedged
    reader = machine.in_background("import sys; open(sys.argv[1] + '/' + sys.argv[2]).read()", machine.pci(GPU, name))
    assert until(lambda: machine.is_blocked(reader), SECONDS)
    reader.kill()
    assert not until(lambda: reader.poll() is not None, 0.2)


@pytest.mark.parametrize("name", ["vendor", "class", "config", "power_state", "reset_method", "boot_vga"])
def test_safe_attributes_answer_while_the_device_is_wedged(wedged, name):
    machine, _ = wedged
    assert (machine.root / machine.pci(GPU, name)).read_bytes()


def test_the_sibling_of_a_wedged_card_still_moves(wedged):
    machine, _ = wedged
    machine.to_vfio(SOUND)
    assert machine.driver(SOUND) == "vfio-pci"


def test_writes_that_were_killed_land_when_the_device_comes_free(wedged):
    machine, writer = wedged
    late = machine.write_in_background(machine.pci(GPU, "driver_override"), "vfio-pci")
    assert until(lambda: machine.is_blocked(late), SECONDS)
    late.kill()
    machine.kernel.end_process(5_000_300)
    assert machine.ended(writer)
    assert until(lambda: machine.read(machine.pci(GPU, "driver_override")) == "vfio-pci", SECONDS)


def test_a_595_driver_never_finishes_the_removal_of_a_busy_card(machine_of):
    machine = machine_of(scenarios.two_nvidia(held=True, wait_forever=True))
    writer = machine.write_in_background("sys/bus/pci/drivers/nvidia/unbind", GPU)
    assert until(lambda: machine.is_blocked(writer), SECONDS)
    machine.kernel.end_process(5_000_300)
    assert machine.is_blocked(writer)
    machine.kernel.finish_removal(GPU)
    assert machine.ended(writer)


def test_a_blocked_write_blocks_only_its_caller(wedged):
    machine, _ = wedged
    assert machine.driver("0000:02:00.0") == "nvidia"
    assert machine.run("systemctl", "is-active", "lightdm").stdout == "active\n"


def test_a_display_driver_unbinds_although_its_card_is_open(machine_of):
    machine = machine_of(scenarios.bochs_lab())
    before = machine.kernel.modules()["bochs"]
    machine.write("sys/bus/pci/drivers/bochs-drm/unbind", GPU)
    assert machine.kernel.modules()["bochs"] == before > 0
    link = os.readlink(machine.root / "proc/5000011/fd/3")
    assert link.endswith("/dev/dri/card0 (deleted)")
    assert stat.S_ISCHR(os.stat(machine.root / "proc/5000011/fd/3").st_mode)


def test_a_card_gets_a_new_number_while_the_old_one_is_still_open(machine_of):
    machine = machine_of(scenarios.bochs_lab())
    machine.write("sys/bus/pci/drivers/bochs-drm/unbind", GPU)
    machine.write("sys/bus/pci/drivers_probe", GPU)
    assert sorted(os.listdir(machine.root / "dev/dri")) == ["card1", "renderD129"]


def test_a_server_that_is_started_again_finds_its_card_under_the_new_number(machine_of):
    machine = machine_of(scenarios.bochs_lab())
    machine.write("sys/bus/pci/drivers/bochs-drm/unbind", GPU)
    machine.write("sys/bus/pci/drivers_probe", GPU)
    assert machine.run("systemctl", "restart", "lightdm").returncode == 0
    (server,) = [one for one in machine.kernel.processes() if one["comm"] == "Xorg"]
    assert set(server["files"]) == {"/dev/dri/card1"}


def test_vfio_waits_for_the_user_of_the_group(machine_of):
    machine = machine_of(scenarios.two_gpu())
    machine.to_vfio(SOUND)
    pid = hold(machine, "/dev/vfio/14")
    writer = machine.write_in_background("sys/bus/pci/drivers/vfio-pci/unbind", SOUND)
    assert until(lambda: machine.is_blocked(writer), SECONDS)
    machine.kernel.end_process(pid)
    assert machine.ended(writer)
    assert machine.driver(SOUND) is None


def test_removing_and_rescanning_brings_a_fresh_device(machine_of):
    machine = machine_of(scenarios.generic_nic())
    machine.write(machine.pci(GPU, "driver_override"), "vfio-pci")
    machine.write(machine.pci(GPU, "remove"), "1")
    assert not (machine.root / "sys/bus/pci/devices" / GPU).exists()
    machine.write("sys/bus/pci/rescan", "1")
    assert machine.driver(GPU) == "igb"
    assert machine.read(machine.pci(GPU, "driver_override")) == "(null)"


def test_a_device_that_falls_off_the_bus_is_gone_with_its_nodes(machine_of):
    machine = machine_of(scenarios.two_gpu())
    assert machine.read(machine.pci(GPU, "vendor")) == "0x10de"
    machine.kernel.disappear(GPU)
    assert not (machine.root / "sys/bus/pci/devices" / GPU).exists()
    assert not (machine.root / machine.pci(GPU, "vendor")).exists()
    assert not (machine.root / "dev/nvidia0").exists()
    assert GPU not in os.listdir(machine.root / "sys/kernel/iommu_groups/14/devices")


def test_settings_keep_what_is_written_and_refuse_nonsense(machine_of):
    machine = machine_of(scenarios.single_gpu_amdgpu_desktop())
    machine.write(machine.pci(GPU, "power/control"), "on\n")
    machine.write(machine.pci(GPU, "d3cold_allowed"), "0")
    machine.write(machine.pci(GPU, "reset_method"), "device_specific")
    assert machine.read(machine.pci(GPU, "power/control")) == "on"
    assert machine.read(machine.pci(GPU, "d3cold_allowed")) == "0"
    assert machine.read(machine.pci(GPU, "reset_method")) == "device_specific"
    with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
        machine.write(machine.pci(GPU, "power/control"), "perhaps")
    with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
        machine.write(machine.pci(GPU, "reset_method"), "bus")  # there is a second function beside it


def test_groups_say_their_type_and_members(machine_of):
    machine = machine_of(scenarios.single_gpu_amdgpu_desktop())
    group = machine.root / machine.pci(GPU, "iommu_group")
    assert os.path.basename(os.readlink(group)) == "14"
    assert (group / "type").read_text() == "DMA-FQ\n"
    assert len(os.listdir(group / "devices")) == 4
    assert os.listdir(machine.root / "sys/class/iommu") == ["dmar0"]


def test_vfio_pci_lets_a_device_that_nobody_uses_sleep_as_deep_as_it_may(machine_of):
    """power/control while vfio-pci has it and afterwards: as seen on 6.1. How deep: as its source says."""
    machine = machine_of(scenarios.two_gpu())
    control, state = machine.pci(SOUND, "power/control"), machine.pci(SOUND, "power_state")
    machine.to_vfio(SOUND)
    assert (machine.read(control), machine.read(state)) == ("auto", "D3cold")
    machine.write(machine.pci(SOUND, "d3cold_allowed"), "0")
    assert machine.read(state) == "D3hot"
    pid = hold(machine, "/dev/vfio/14")
    assert machine.read(state) == "D0"
    machine.kernel.end_process(pid)
    machine.write(control, "on")
    assert machine.read(state) == "D0"
    machine.write(control, "auto")
    machine.write("sys/bus/pci/drivers/vfio-pci/unbind", SOUND)
    assert machine.read(control) == "on"
