"""sysfs.write, vtconsole.unbind, framebuffer.unbind, device.reset and pci.rescan against an answering kernel."""

from __future__ import annotations

import errno
import os
from dataclasses import replace

import pytest
from step_builders import GPU, planned, put

from vfioctl.errors import StepFailed, Stuck
from vfioctl.host.readers import text
from vfioctl.kinds.kernel.framebuffer_unbind import KIND as FRAMEBUFFER
from vfioctl.kinds.kernel.sysfs_write import KIND as WRITE
from vfioctl.kinds.kernel.vtconsole_unbind import KIND as CONSOLE
from vfioctl.kinds.pci.device_reset import KIND as RESET
from vfioctl.kinds.pci.pci_rescan import KIND as RESCAN
from vfioctl.testing import scenarios
from vfioctl.txn.kind import kind
from vfioctl.txn.step import State, StepProposal

POWER = f"/sys/bus/pci/devices/{GPU}/d3cold_allowed"


def write(machine, path=POWER, value="0", **changes):
    return planned(machine, "sysfs.write", {"path": path, "value": value}, **changes)


def test_a_value_is_written_and_the_old_one_comes_back(nic):
    fake, machine = nic
    step = write(machine)
    assert (step.baseline, step.touches) == ({"value": "1"}, (f"pci:{GPU}",))
    assert WRITE.probe(step, machine) is State.BEFORE
    assert WRITE.apply(step, machine) is None
    assert text(machine.paths.at(POWER)) == "0"
    assert WRITE.probe(step, machine) is State.AFTER
    assert "already says" in WRITE.apply(step, machine)
    assert WRITE.undo(step, machine) is None
    fake.kernel.clear_log()
    assert "already says" in WRITE.undo(step, machine)
    assert WRITE.probe(step, machine) is State.BEFORE
    assert fake.kernel.writes() == []


def test_a_third_value_is_between_and_goes_back_to_the_baseline(plain):
    put(plain.paths.at("sys/governor"), "powersave\n")
    step = write(plain, "/sys/governor", "performance")
    put(plain.paths.at("sys/governor"), "ondemand\n")
    assert WRITE.probe(step, plain) is State.BETWEEN
    assert WRITE.undo(step, plain) is None
    assert text(plain.paths.at("sys/governor")) == "powersave"


def test_of_a_choice_in_brackets_only_the_chosen_word_counts(plain):
    put(plain.paths.at("sys/thp"), "always [madvise] never\n")
    assert write(plain, "/sys/thp", "never").baseline == {"value": "madvise"}


def test_a_value_that_the_kernel_does_not_keep_is_a_failure(nic):
    _, machine = nic
    step = write(machine, value="7")
    with pytest.raises(StepFailed):
        WRITE.apply(step, machine)
    assert WRITE.undo(step, machine) in (None, f"{POWER} already says '1'")
    assert text(machine.paths.at(POWER)) == "1"


@pytest.mark.parametrize("error", [errno.EBUSY, errno.ENODEV])
def test_a_refused_write_is_said_with_the_kernels_reason(nic, error):
    fake, machine = nic
    fake.kernel.fail_write(POWER, error)
    with pytest.raises(StepFailed, match="Writing '0' failed"):
        WRITE.apply(write(machine), machine)


def test_a_write_to_a_device_that_never_returns_makes_it_stuck(nic):
    fake, machine = nic
    step = write(machine, deadline=0.2)
    fake.kernel.hang_write(POWER)
    with pytest.raises(Stuck):
        WRITE.apply(step, machine)
    assert WRITE.probe(step, machine) is State.STUCK
    with pytest.raises(Stuck):
        WRITE.undo(step, machine)


def test_an_old_value_that_the_kernel_takes_no_more_is_a_failure_unless_it_may_stay(desktop):
    """"bus" is found before the kernel knows of the second function, and refused with it: seen on Linux 6.1."""
    _, machine = desktop
    path = f"/sys/bus/pci/devices/{GPU}/reset_method"
    strict, lenient = (
        planned(machine, "sysfs.write", {"path": path, "value": "device_specific", **more})
        for more in ({}, {"may_stay": True})
    )
    assert "bus" in strict.baseline["value"]
    assert WRITE.apply(strict, machine) is None
    with pytest.raises(StepFailed, match="Invalid argument"):
        WRITE.undo(strict, machine)
    assert "stays 'device_specific'" in WRITE.undo(lenient, machine)
    assert text(machine.paths.at(path)) == "device_specific"


def test_another_failure_than_a_refusal_is_one_also_where_the_value_may_stay(nic):
    fake, machine = nic
    step = planned(machine, "sysfs.write", {"path": POWER, "value": "0", "may_stay": True})
    WRITE.apply(step, machine)
    fake.kernel.fail_write(POWER, errno.EBUSY)
    with pytest.raises(StepFailed):
        WRITE.undo(step, machine)


def kept_on_vfio(machine, home):
    """A value that was written for the hand-off of a function to vfio-pci, which has it now."""
    step = planned(machine, "sysfs.write", {"path": POWER, "value": "0", "home": home})
    aimed = planned(machine, "driver.override", {"address": GPU, "value": "vfio-pci"})
    bound = planned(machine, "driver.bind", {"address": GPU, "driver": "vfio-pci"})
    for one in (step, aimed, bound):
        kind(one.kind).apply(one, machine)
    return step, bound


def test_a_value_that_waits_for_its_function_stays_while_vfio_pci_has_it(nic):
    _, machine = nic
    step, bound = kept_on_vfio(machine, "igb")
    with pytest.raises(StepFailed, match=f"{GPU} is still on vfio-pci") as caught:
        WRITE.undo(step, machine)
    assert (caught.value.code, text(machine.paths.at(POWER))) == ("driver.not_home", "0")
    kind("driver.bind").undo(bound, machine)
    assert WRITE.undo(step, machine) is None
    assert text(machine.paths.at(POWER)) == "1"


def test_a_value_of_a_function_that_was_on_vfio_pci_before_comes_back_there(nic):
    _, machine = nic
    step, _ = kept_on_vfio(machine, "vfio-pci")
    assert WRITE.undo(step, machine) is None
    assert text(machine.paths.at(POWER)) == "1"


def test_a_console_that_the_kernel_binds_no_more_is_said_and_no_failure(boot):
    """Linux 6.1 after a boot in VGA text mode: no back-end of the system is left, and the write does nothing."""
    _, machine = boot(replace(scenarios.single_gpu_amdgpu_desktop(), system_console=False))
    step = planned(machine, "vtconsole.unbind", {"name": "frame buffer device"})
    assert CONSOLE.apply(step, machine) is None
    assert "binds it no more by hand" in CONSOLE.undo(step, machine)
    assert CONSOLE.probe(step, machine) is State.AFTER


def test_a_file_that_is_gone_has_nothing_to_put_back(plain):
    put(plain.paths.at("sys/a"), "1\n")
    step = write(plain, "/sys/a", "2")
    os.unlink(plain.paths.at("sys/a"))
    assert WRITE.probe(step, plain) is State.BETWEEN
    assert WRITE.undo(step, plain) == "/sys/a is gone"


def test_a_trigger_is_written_without_being_read_back(plain):
    put(plain.paths.at("sys/status"), "disconnected\n")
    step = planned(plain, "sysfs.write", {"path": "/sys/status", "value": "detect", "trigger": True})
    assert step.baseline == {"value": None}
    assert WRITE.apply(step, plain) is None
    assert "no value" in WRITE.undo(step, plain)


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "/sys/../etc/passwd", f"/sys/bus/pci/devices/{GPU}/driver_override", "sys/a"]
)
def test_only_kernel_attributes_may_be_written(plain, path):
    proposal = StepProposal("x", "sysfs.write", {"path": path, "value": "1"}, "a test")
    assert [f.code for f in WRITE.check(proposal, plain.host())] == ["sysfs.path"]


def test_the_framebuffer_console_is_found_by_name_and_bound_again(desktop):
    _, machine = desktop
    step = planned(machine, "vtconsole.unbind", {"name": "frame buffer device"})
    assert CONSOLE.probe(step, machine) is State.BEFORE
    assert CONSOLE.apply(step, machine) is None
    assert CONSOLE.probe(step, machine) is State.AFTER
    assert "no text console is bound" in CONSOLE.apply(step, machine)
    assert CONSOLE.undo(step, machine) is None
    assert CONSOLE.undo(step, machine) == "it is bound already"
    assert CONSOLE.probe(step, machine) is State.BEFORE
    assert [c.bound for c in machine.host().vtconsoles() if "dummy" in c.name] == [False]


def test_a_console_that_went_with_its_framebuffer_needs_no_undo(nic):
    _, machine = nic
    step = planned(machine, "vtconsole.unbind", {"name": "frame buffer device"}, baseline={"bound": True})
    assert not any("frame buffer" in console.name for console in machine.host().vtconsoles())
    assert CONSOLE.probe(step, machine) is State.AFTER
    assert "brings it back" in CONSOLE.undo(step, machine)


def test_a_console_that_was_not_bound_is_not_bound_by_the_undo(desktop):
    _, machine = desktop
    step = planned(machine, "vtconsole.unbind", {"name": "frame buffer device"}, baseline={"bound": False})
    assert CONSOLE.undo(step, machine) == "it was not bound before"


@pytest.mark.parametrize("error", [errno.EBUSY, errno.EINVAL])
def test_a_console_that_the_kernel_does_not_unbind_is_said(desktop, error):
    fake, machine = desktop
    step = planned(machine, "vtconsole.unbind", {"name": "(M) frame buffer device"})
    entry = next(c.entry for c in machine.host().vtconsoles() if "frame buffer" in c.name)
    fake.kernel.fail_write(f"/sys/class/vtconsole/{entry}/bind", error)
    with pytest.raises(StepFailed, match=f"Unbinding {entry} failed"):
        CONSOLE.apply(step, machine)
    assert CONSOLE.probe(step, machine) is State.BEFORE


@pytest.fixture
def held(desktop):
    """A machine on which somebody holds the lock of the consoles."""
    fake, machine = desktop
    step = planned(machine, "vtconsole.unbind", {"name": "frame buffer device"})
    for entry in os.listdir(machine.paths.at("sys/class/vtconsole")):
        fake.kernel.hang_read(f"/sys/class/vtconsole/{entry}/bind", count=9)
    yield fake, machine, step
    fake.kernel.release()


def test_a_console_whose_lock_is_held_blocks_the_plan_in_time_and_one_reader_is_left_behind(held):
    fake, machine, _ = held
    proposal = StepProposal("x", "vtconsole.unbind", {"name": "frame buffer device"}, "a test")
    assert [finding.code for finding in CONSOLE.check(proposal, machine.host())] == ["vtconsole.stuck"]
    assert len(fake.kernel.blocked()) == 1


def test_a_step_that_meets_such_a_console_records_it_and_reads_it_no_more(held):
    fake, machine, step = held
    with pytest.raises(Stuck, match="does not say whether vtcon"):
        CONSOLE.apply(step, machine)
    assert CONSOLE.probe(step, machine) is State.STUCK
    with pytest.raises(Stuck):
        CONSOLE.undo(step, machine)
    assert [console.stuck for console in machine.host().vtconsoles()] == [True, True]
    assert len(fake.kernel.blocked()) == 1


FRAME = {"device": "simple-framebuffer.0", "driver": "simple-framebuffer"}


@pytest.fixture
def firmware_picture(boot):
    """A card without a driver, on which the firmware's framebuffer still shows its picture."""
    spec = scenarios.bochs_lab()
    devices = tuple(replace(one, driver=None) if one.address == GPU else one for one in spec.devices)
    modules = tuple(replace(one, loaded=False) if one.name == "bochs" else one for one in spec.modules)
    return boot(replace(spec, devices=devices, modules=modules))


def test_the_firmware_framebuffer_is_unbound_for_good(firmware_picture):
    _, machine = firmware_picture
    step = planned(machine, "framebuffer.unbind", FRAME)
    assert FRAMEBUFFER.probe(step, machine) is State.BEFORE
    assert FRAMEBUFFER.apply(step, machine) is None
    assert FRAMEBUFFER.probe(step, machine) is State.AFTER
    assert FRAMEBUFFER.apply(step, machine) == "simple-framebuffer.0 is not on simple-framebuffer"
    assert "gone for good" in FRAMEBUFFER.undo(step, machine)


def test_a_framebuffer_that_the_kernel_does_not_give_up_is_said(firmware_picture):
    fake, machine = firmware_picture
    fake.kernel.fail_write("/sys/bus/platform/drivers/simple-framebuffer/unbind", errno.ENODEV)
    with pytest.raises(StepFailed, match=r"Unbinding simple-framebuffer\.0"):
        FRAMEBUFFER.apply(planned(machine, "framebuffer.unbind", FRAME), machine)


def test_a_framebuffer_whose_unbind_hangs_is_stuck(firmware_picture):
    fake, machine = firmware_picture
    step = planned(machine, "framebuffer.unbind", FRAME, deadline=0.2)
    fake.kernel.hang_write("/sys/bus/platform/drivers/simple-framebuffer/unbind")
    with pytest.raises(Stuck):
        FRAMEBUFFER.apply(step, machine)
    assert FRAMEBUFFER.probe(step, machine) is State.STUCK


def test_a_framebuffer_is_never_a_path(firmware_picture):
    _, machine = firmware_picture
    proposal = StepProposal("x", "framebuffer.unbind", {"device": "../x", "driver": "y"}, "a test")
    assert [f.code for f in FRAMEBUFFER.check(proposal, machine.host())] == ["framebuffer.name"]


def test_a_reset_is_written_once(nic):
    fake, machine = nic
    step = planned(machine, "device.reset", {"address": GPU})
    RESET.guard(step, machine)
    assert RESET.apply(step, machine) is None
    assert [w["path"].rpartition("/")[2] for w in fake.kernel.writes()] == ["reset"]
    assert RESET.undo(step, machine) == "a reset has no undo"


def test_a_reset_method_holds_for_one_reset_only(nic):
    fake, machine = nic
    before = text(machine.paths.pci(GPU, "reset_method"))
    step = planned(machine, "device.reset", {"address": GPU, "method": "pm"})
    assert RESET.apply(step, machine) is None
    assert text(machine.paths.pci(GPU, "reset_method")) == before
    assert [w["path"].rpartition("/")[2] for w in fake.kernel.writes()] == ["reset_method", "reset", "reset_method"]


def test_a_device_that_is_held_is_not_reset(desktop):
    _, machine = desktop
    with pytest.raises(StepFailed, match="is not reset: it is held by"):
        RESET.guard(planned(machine, "device.reset", {"address": GPU}), machine)


def test_a_reset_that_cannot_be_is_found_by_the_check(nic):
    _, machine = nic

    def codes(**params):
        proposal = StepProposal("x", "device.reset", {"address": GPU, **params}, "a test")
        return [f.code for f in RESET.check(proposal, machine.host())]

    assert codes() == []
    assert codes(method="device_specific") == ["device.no_reset"]
    assert codes(address="0000:99:00.0") == ["device.missing"]


def test_a_function_is_removed_and_found_again(nic):
    _, machine = nic
    step = planned(machine, "pci.rescan", {"address": GPU})
    RESCAN.guard(step, machine)
    assert RESCAN.apply(step, machine) is None
    assert RESCAN.probe(step, machine) is State.AFTER
    assert machine.host().has_device(GPU)


def test_a_held_function_is_never_removed(desktop):
    _, machine = desktop
    with pytest.raises(StepFailed, match="is not removed"):
        RESCAN.guard(planned(machine, "pci.rescan", {"address": GPU}), machine)


def test_a_function_that_does_not_come_back_is_a_failure(nic):
    fake, machine = nic
    step = planned(machine, "pci.rescan", {"address": GPU}, deadline=0.3)
    fake.kernel.disappear(GPU)
    assert RESCAN.probe(step, machine) is State.BETWEEN
    with pytest.raises(StepFailed):
        RESCAN.apply(step, machine)
    assert RESCAN.undo(step, machine) == "a rescan has no undo"


def test_another_device_at_the_address_is_refused(nic):
    _, machine = nic
    step = planned(machine, "pci.rescan", {"address": GPU}, baseline={"identity": "0x10de:0x1:0x0:0x0"})
    with pytest.raises(StepFailed, match="another device") as caught:
        RESCAN.apply(step, machine)
    assert caught.value.code == "device.other"


def test_a_stuck_device_is_not_reset_and_not_removed(nic):
    fake, machine = nic
    reset = planned(machine, "device.reset", {"address": GPU}, deadline=0.2)
    rescan = planned(machine, "pci.rescan", {"address": GPU})
    fake.kernel.hang_write(f"/sys/bus/pci/devices/{GPU}/reset")
    with pytest.raises(Stuck):
        RESET.apply(reset, machine)
    fake.kernel.clear_log()
    for form, step in ((RESET, reset), (RESCAN, rescan)):
        assert form.probe(step, machine) is State.STUCK
        with pytest.raises(Stuck):
            form.guard(step, machine)
    assert fake.kernel.writes() == []
