"""module.unload and module.load against a kernel that counts references."""

from __future__ import annotations

import errno
import os

import pytest
from step_builders import AUDIO, GPU, planned

from vfioctl.errors import StepFailed, Stuck
from vfioctl.kinds.common import driver_of
from vfioctl.kinds.kernel.module_load import KIND as LOAD
from vfioctl.kinds.kernel.module_unload import KIND as UNLOAD
from vfioctl.kinds.pci.driver_override import KIND as OVERRIDE
from vfioctl.kinds.stuck import stuck_write
from vfioctl.testing.model import FakeProcess
from vfioctl.txn.step import State, StepProposal

STACK = ["nvidia_drm", "nvidia_modeset", "nvidia_uvm", "nvidia_fs", "nvidia"]
LOADED = ["nvidia_drm", "nvidia_modeset", "nvidia_uvm", "nvidia"]


def unload(machine, modules=STACK, **changes):
    return planned(machine, "module.unload", {"modules": modules, "devices": [GPU], "program": "modprobe"}, **changes)


def nvidia_modules(fake):
    return sorted(name for name in fake.kernel.modules() if name.startswith("nvidia"))


def test_a_stack_is_unloaded_and_comes_back_with_its_device(idle_card):
    fake, machine = idle_card
    step = unload(machine)
    assert step.baseline == {"modules": LOADED, "drivers": {GPU: "nvidia"}}
    assert step.resource == f"module:nvidia for {GPU}"
    assert {"module:nvidia", f"pci:{GPU}"} <= set(step.touches)
    assert UNLOAD.probe(step, machine) is State.BEFORE
    UNLOAD.guard(step, machine)
    assert UNLOAD.apply(step, machine) is None
    assert nvidia_modules(fake) == []
    assert driver_of(machine.paths, GPU) is None
    assert UNLOAD.probe(step, machine) is State.AFTER
    assert "none is loaded" in UNLOAD.apply(step, machine)
    assert UNLOAD.undo(step, machine) is None
    assert nvidia_modules(fake) == sorted(LOADED)
    assert driver_of(machine.paths, GPU) == "nvidia"
    assert UNLOAD.probe(step, machine) is State.BEFORE


def test_undoing_twice_changes_nothing(idle_card):
    fake, machine = idle_card
    step = unload(machine)
    UNLOAD.apply(step, machine)
    UNLOAD.undo(step, machine)
    fake.kernel.clear_log()
    assert "are loaded" in UNLOAD.undo(step, machine)
    assert fake.kernel.calls() == []
    assert fake.kernel.writes() == []


def test_a_busy_module_is_found_and_its_holder_named_before_the_first_one_goes(idle_card):
    fake, machine = idle_card
    step = unload(machine)
    pid = fake.kernel.add_process(FakeProcess("ollama", opens=("/dev/nvidia-uvm",), unit="ollama.service"))
    for act in (UNLOAD.guard, UNLOAD.apply):
        with pytest.raises(StepFailed, match=rf"ollama \(pid {pid}, ollama\.service\)") as caught:
            act(step, machine)
        assert caught.value.code == "module.in_use"
        assert "Nothing was unloaded" in caught.value.message
    assert nvidia_modules(fake) == sorted(LOADED)


def test_a_reference_that_no_process_has_is_said_to_be_nobodys(idle_card):
    fake, machine = idle_card
    fake.kernel.leak("nvidia", 1)
    with pytest.raises(StepFailed, match=r"nvidia \(1 outside.*nobody that /proc shows"):
        UNLOAD.guard(unload(machine), machine)
    assert nvidia_modules(fake) == sorted(LOADED)


def test_a_module_that_needs_one_of_the_stack_is_found_by_the_check(idle_card):
    _, machine = idle_card
    proposal = StepProposal("x", "module.unload", {"modules": ["nvidia_modeset", "nvidia"], "devices": []}, "a test")
    found = UNLOAD.check(proposal, machine.host())
    assert [(f.code, "nvidia_drm" in f.message or "nvidia_uvm" in f.message) for f in found] == [
        ("module.used", True), ("module.used", True),
    ]  # fmt: skip


def test_an_unload_that_fails_half_way_is_undone(idle_card):
    fake, machine = idle_card
    step = unload(machine)
    fake.kernel.fail_module("nvidia_uvm", "unload", errno.EBUSY)
    with pytest.raises(StepFailed, match="nvidia_uvm could not be unloaded"):
        UNLOAD.apply(step, machine)
    assert UNLOAD.probe(step, machine) is State.BETWEEN
    assert UNLOAD.undo(step, machine) is None
    assert UNLOAD.probe(step, machine) is State.BEFORE


def test_an_override_that_names_another_driver_does_not_keep_the_card_away(idle_card):
    """A crash between aiming and binding: the card is on nothing and driver_override says vfio-pci."""
    _, machine = idle_card
    aimed, step = planned(machine, "driver.override", {"address": GPU, "value": "vfio-pci"}), unload(machine)
    OVERRIDE.apply(aimed, machine)
    UNLOAD.apply(step, machine)
    assert UNLOAD.undo(step, machine) is None
    assert driver_of(machine.paths, GPU) == "nvidia"
    assert OVERRIDE.undo(aimed, machine) is None


def test_an_unload_that_never_returns_makes_its_devices_stuck(idle_card):
    fake, machine = idle_card
    step = unload(machine, deadline=0.3)
    fake.kernel.hang_program("modprobe")
    with pytest.raises(Stuck, match="modprobe -r nvidia_drm does not return"):
        UNLOAD.apply(step, machine)
    assert UNLOAD.probe(step, machine) is State.STUCK
    fake.kernel.clear_log()
    for act in (UNLOAD.guard, UNLOAD.undo):
        with pytest.raises(Stuck):
            act(step, machine)
    assert fake.kernel.calls() == []
    stuck = stuck_write(machine, GPU)
    assert stuck is not None
    os.killpg(stuck.pid, 9)


def test_a_module_that_does_not_load_again_fails_the_undo(idle_card):
    fake, machine = idle_card
    step = unload(machine)
    UNLOAD.apply(step, machine)
    fake.kernel.fail_module("nvidia", "load", errno.ENODEV)
    with pytest.raises(StepFailed, match="module nvidia could not be loaded") as caught:
        UNLOAD.undo(step, machine)
    assert caught.value.code == "module.load_failed"
    assert UNLOAD.undo(step, machine) is None
    assert driver_of(machine.paths, GPU) == "nvidia"


def test_a_card_that_does_not_get_its_driver_back_fails_the_undo(idle_card):
    fake, machine = idle_card
    step = unload(machine, deadline=1.0)
    UNLOAD.apply(step, machine)
    fake.kernel.fail_probe(GPU, "nvidia")
    with pytest.raises(StepFailed, match="did not get its driver nvidia back"):
        UNLOAD.undo(step, machine)


def test_a_missing_modprobe_is_said_and_nothing_has_changed(idle_card):
    fake, machine = idle_card
    step = unload(machine)
    fake.kernel.remove_program("modprobe")
    with pytest.raises(StepFailed, match="modprobe is not installed") as caught:
        UNLOAD.apply(step, machine)
    assert caught.value.code == "program.missing"
    assert UNLOAD.probe(step, machine) is State.BEFORE


def test_a_module_is_loaded_once_and_kept(idle_card):
    fake, machine = idle_card
    step = planned(machine, "module.load", {"module": "vfio-pci", "parameters": {"disable_idle_d3": "1"}})
    assert LOAD.probe(step, machine) is State.BEFORE
    assert LOAD.apply(step, machine) is None
    assert LOAD.probe(step, machine) is State.AFTER
    assert "already" in LOAD.apply(step, machine)
    assert LOAD.undo(step, machine) == "vfio-pci stays loaded"
    assert "vfio_pci" in fake.kernel.modules()


def test_a_module_that_is_not_there_cannot_be_loaded(idle_card):
    _, machine = idle_card
    with pytest.raises(StepFailed, match="module nowhere could not be loaded"):
        LOAD.apply(planned(machine, "module.load", {"module": "nowhere"}), machine)


def test_devices_of_other_modules_are_not_touched(idle_card):
    _, machine = idle_card
    before = driver_of(machine.paths, AUDIO)
    UNLOAD.apply(unload(machine), machine)
    assert driver_of(machine.paths, AUDIO) == before
