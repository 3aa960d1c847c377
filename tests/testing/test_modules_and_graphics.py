"""Modules, framebuffers and consoles answer as Linux 6.1 and kmod 30 were seen to answer."""

from __future__ import annotations

import os
from dataclasses import replace

from vfioctl.testing import scenarios
from vfioctl.testing.model import FakeProcess

GPU = scenarios.GPU
STACK = ("nvidia_drm", "nvidia_modeset", "nvidia_uvm", "nvidia")


def free_card(machine):
    """Stop whatever holds the nvidia desktop's card."""
    machine.run("systemctl", "stop", "lightdm", "nvidia-persistenced")


def test_a_module_in_use_is_refused_in_the_words_of_modprobe(machine_of):
    machine = machine_of(scenarios.single_gpu_nvidia_desktop())
    refused = machine.run("modprobe", "-r", "nvidia")
    assert refused.returncode == 1
    assert refused.stderr == "modprobe: FATAL: Module nvidia is in use.\n"


def test_rmmod_names_who_uses_a_module(machine_of):
    machine = machine_of(scenarios.two_gpu())
    assert "in use by: nvidia_modeset nvidia_uvm" in machine.run("rmmod", "nvidia").stderr


def test_open_nodes_raise_the_reference_count_and_not_the_holders(machine_of):
    machine = machine_of(scenarios.two_gpu())
    assert machine.read("sys/module/nvidia/refcnt") == "2"
    machine.kernel.add_process(FakeProcess("nvidia-persiste", opens=("/dev/nvidiactl",)))
    assert machine.read("sys/module/nvidia/refcnt") == "3"
    assert sorted(os.listdir(machine.root / "sys/module/nvidia/holders")) == ["nvidia_modeset", "nvidia_uvm"]


def test_a_stack_with_a_holder_at_its_end_stays_half_unloaded(machine_of):
    machine = machine_of(scenarios.single_gpu_nvidia_desktop())
    machine.run("systemctl", "stop", "lightdm")
    assert machine.run("modprobe", "-r", *STACK).returncode == 1
    assert [name for name in STACK if (machine.root / "sys/module" / name).exists()] == ["nvidia"]


def test_unloading_the_stack_leaves_the_card_without_driver_and_nodes(machine_of):
    machine = machine_of(scenarios.single_gpu_nvidia_desktop())
    free_card(machine)
    assert machine.run("modprobe", "-r", *STACK).returncode == 0
    assert machine.driver(GPU) is None
    assert not (machine.root / "sys/bus/pci/drivers/nvidia").exists()
    assert not [name for name in os.listdir(machine.root / "dev") if name.startswith(("nvidia", "dri"))]


def test_loading_the_stack_brings_the_card_back(machine_of):
    machine = machine_of(scenarios.single_gpu_nvidia_desktop())
    free_card(machine)
    machine.run("modprobe", "-r", *STACK)
    assert machine.run("modprobe", "nvidia_drm", "modeset=1").returncode == 0
    assert machine.driver(GPU) == "nvidia"
    assert machine.read("sys/module/nvidia_drm/parameters/modeset") == "1"
    assert (machine.root / "dev/dri/card0").exists()
    assert "Device Minor: \t 0" in machine.read(f"proc/driver/nvidia/gpus/{GPU}/information")


def test_proc_modules_lists_what_is_loaded(machine_of):
    machine = machine_of(scenarios.two_gpu())
    rows = {line.split()[0]: line.split() for line in machine.read("proc/modules").splitlines()}
    assert rows["nvidia"][2:4] == ["2", "nvidia_modeset,nvidia_uvm,"]
    assert "nvme" not in rows


def test_an_unknown_module_is_not_found(machine_of):
    machine = machine_of(scenarios.generic_nic())
    assert "Module nope not found in directory /lib/modules/" in machine.run("modprobe", "nope").stderr


def consoles(machine):
    base = machine.root / "sys/class/vtconsole"
    return {(base / name / "name").read_text().strip(): (base / name / "bind").read_text().strip()
            for name in os.listdir(base)}


def test_the_console_goes_with_the_last_framebuffer_and_comes_back_bound(machine_of):
    machine = machine_of(scenarios.bochs_lab())
    machine.run("systemctl", "stop", "lightdm")
    assert consoles(machine) == {"(S) dummy device": "0", "(M) frame buffer device": "1"}
    machine.write("sys/bus/pci/drivers/bochs-drm/unbind", GPU)
    assert consoles(machine) == {"(S) dummy device": "1"}
    machine.write("sys/bus/pci/drivers_probe", GPU)
    assert consoles(machine) == {"(S) dummy device": "0", "(M) frame buffer device": "1"}


def test_unbinding_the_console_gives_the_screen_to_the_dummy(machine_of):
    machine = machine_of(scenarios.single_gpu_amdgpu_desktop())
    machine.write("sys/class/vtconsole/vtcon1/bind", "0")
    assert consoles(machine) == {"(S) dummy device": "1", "(M) frame buffer device": "0"}
    machine.write("sys/class/vtconsole/vtcon1/bind", "1")
    assert consoles(machine) == {"(S) dummy device": "0", "(M) frame buffer device": "1"}


def test_without_a_back_end_of_the_system_the_console_is_bound_no_more(machine_of):
    machine = machine_of(replace(scenarios.single_gpu_amdgpu_desktop(), system_console=False))
    for value in ("0", "1"):
        machine.write("sys/class/vtconsole/vtcon1/bind", value)
        assert consoles(machine) == {"(M) dummy device": "1", "(M) frame buffer device": "0"}


def test_vfio_takes_the_firmware_framebuffer_away_for_good(machine_of):
    spec = scenarios.single_gpu_nvidia_desktop(logged_in=False)
    devices = tuple(replace(device, driver=None) if device.address == GPU else device for device in spec.devices)
    machine = machine_of(replace(spec, devices=devices, processes=()))
    assert os.listdir(machine.root / "sys/bus/platform/devices") == ["simple-framebuffer.0"]
    machine.to_vfio(GPU)
    assert os.listdir(machine.root / "sys/bus/platform/devices") == []
    assert "(M) frame buffer device" not in consoles(machine)


def test_connectors_and_nodes_come_and_go_with_the_driver(machine_of):
    machine = machine_of(scenarios.single_gpu_amdgpu_desktop())
    machine.run("systemctl", "stop", "lightdm")
    assert machine.read("sys/class/drm/card0-DP-1/status") == "connected"
    device = os.path.realpath(machine.root / "sys/class/drm/card0/device")
    assert os.path.basename(device) == GPU
    machine.write("sys/bus/pci/drivers/amdgpu/unbind", GPU)
    assert os.listdir(machine.root / "sys/class/drm") == ["version"]
    assert not (machine.root / "dev/dri").exists()
