"""driver.bind and driver.override against a kernel that answers, blocks and lies."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pytest
from step_builders import AUDIO, GPU, planned

from vfioctl.errors import DeadlineExceeded, StepFailed, Stuck
from vfioctl.files import Lock
from vfioctl.kinds.common import driver_of, read_override
from vfioctl.kinds.pci.driver_bind import KIND as BIND
from vfioctl.kinds.pci.driver_override import KIND as OVERRIDE
from vfioctl.kinds.stuck import stuck_write
from vfioctl.testing import scenarios
from vfioctl.testing.model import FakeProcess
from vfioctl.txn.machine import Machine
from vfioctl.txn.step import State, StepProposal
from vfioctl.wait import until

VFIO = "vfio-pci"


def aim(machine, address=GPU, value=VFIO, **changes):
    return planned(machine, "driver.override", {"address": address, "value": value}, **changes)


def bind(machine, address=GPU, driver=VFIO, **changes):
    params = {"address": address, "driver": driver, **changes.pop("params", {})}
    return planned(machine, "driver.bind", params, **changes)


def give(machine, address=GPU):
    """Both steps, applied."""
    steps = aim(machine, address), bind(machine, address)
    OVERRIDE.apply(steps[0], machine)
    BIND.guard(steps[1], machine)
    BIND.apply(steps[1], machine)
    return steps


def attribute(name, address=GPU):
    return f"/sys/bus/pci/devices/{address}/{name}"


def test_a_device_moves_to_vfio_pci_and_home_again(nic):
    _, machine = nic
    aimed, bound = give(machine)
    assert driver_of(machine.paths, GPU) == VFIO
    assert (OVERRIDE.probe(aimed, machine), BIND.probe(bound, machine)) == (State.AFTER, State.AFTER)
    assert BIND.undo(bound, machine) is None
    assert OVERRIDE.undo(aimed, machine) is None
    assert driver_of(machine.paths, GPU) == "igb"
    assert read_override(machine, GPU) is None
    assert (OVERRIDE.probe(aimed, machine), BIND.probe(bound, machine)) == (State.BEFORE, State.BEFORE)


def test_applying_and_undoing_twice_says_why_there_is_nothing_to_do(nic):
    kernel, machine = nic
    aimed, bound = give(machine)
    assert BIND.apply(bound, machine) == f"{GPU} is already on vfio-pci"
    assert OVERRIDE.apply(aimed, machine) == f"driver_override of {GPU} already says vfio-pci"
    BIND.undo(bound, machine)
    OVERRIDE.undo(aimed, machine)
    kernel.kernel.clear_log()
    assert BIND.undo(bound, machine) == f"{GPU} is already on igb"
    assert OVERRIDE.undo(aimed, machine) == f"driver_override of {GPU} already says nothing"
    assert kernel.kernel.writes() == []


def test_the_module_of_the_wanted_driver_is_loaded_and_kept(nic):
    fake, machine = nic
    assert "vfio_pci" not in fake.kernel.modules()
    _, bound = give(machine)
    BIND.undo(bound, machine)
    assert "vfio_pci" in fake.kernel.modules()


def test_the_module_of_its_own_driver_is_loaded_again_when_somebody_has_unloaded_it(nic):
    fake, machine = nic
    _, bound = give(machine)
    assert bound.baseline == {"driver": "igb", "modules": ["igb"]}
    assert machine.programs.run(("modprobe", "-r", "igb"), deadline=5).ok
    assert BIND.probe(bound, machine) is State.AFTER
    assert BIND.undo(bound, machine) is None
    assert driver_of(machine.paths, GPU) == "igb"
    assert "igb" in fake.kernel.modules()


def test_what_builds_on_the_module_is_loaded_after_it(idle_card):
    fake, machine = idle_card
    bound = bind(machine)
    assert bound.baseline["modules"] == ["nvidia", "nvidia_modeset", "nvidia_uvm", "nvidia_drm"]
    assert machine.programs.run(("modprobe", "-r", "nvidia_drm"), deadline=5).ok
    assert BIND.probe(bound, machine) is State.BETWEEN, "nvidia_drm has taken modeset with it"
    BIND.undo(bound, machine)
    assert set(bound.baseline["modules"]) <= set(fake.kernel.modules())
    assert BIND.probe(bound, machine) is State.BEFORE


def test_a_driver_that_a_module_unload_of_the_plan_took_away_is_left_to_its_undo(idle_card):
    fake, machine = idle_card
    bound = bind(machine, params={"unloaded": True})
    assert bound.baseline == {"driver": "nvidia", "modules": []}
    assert machine.programs.run(("modprobe", "-r", "-a", "nvidia_drm", "nvidia_uvm"), deadline=5).ok
    assert BIND.undo(bound, machine) == f"{GPU} is detached; nvidia is not loaded"
    assert "nvidia" not in fake.kernel.modules()


def test_a_driver_that_the_kernel_has_no_more_is_a_failure(nic):
    fake, machine = nic
    _, bound = give(machine)
    assert machine.programs.run(("modprobe", "-r", "igb"), deadline=5).ok
    fake.kernel.fail_module("igb")
    with pytest.raises(StepFailed, match="The module igb could not be loaded"):
        BIND.undo(bound, machine)
    with pytest.raises(StepFailed, match="the kernel has no driver igb any more"):
        BIND.undo(replace(bound, baseline={"driver": "igb", "modules": []}), machine)


def test_a_journal_that_names_no_modules_is_undone_as_before(nic):
    _, machine = nic
    _, bound = give(machine)
    assert machine.programs.run(("modprobe", "-r", "igb"), deadline=5).ok
    older = replace(bound, baseline={"driver": "igb"})
    assert BIND.undo(older, machine) == f"{GPU} is detached; igb is not loaded"
    assert machine.programs.run(("modprobe", "igb"), deadline=5).ok, "the kernel binds it, aimed as it is"
    assert BIND.probe(older, machine) is State.BEFORE
    assert driver_of(machine.paths, GPU) == "igb"


def test_only_a_module_that_other_cards_share_is_locked(nic):
    _, machine = nic
    assert bind(machine).touches == ()
    assert bind(machine, params={"shared_module": "igb"}).touches == ("module:igb",)


def test_a_device_that_is_to_stay_awake_is_told_so_once_vfio_pci_has_it(nic):
    _, machine = nic
    aimed, bound = aim(machine), bind(machine, params={"awake": True})
    OVERRIDE.apply(aimed, machine)
    BIND.apply(bound, machine)
    control = Path(machine.paths.pci(GPU, "power", "control"))
    assert control.read_text() == "on\n"
    control.write_text("auto\n")
    BIND.apply(bound, machine)
    assert control.read_text() == "on\n"


def test_a_device_that_cannot_be_kept_awake_fails_its_step(nic):
    fake, machine = nic
    OVERRIDE.apply(aim(machine), machine)
    fake.kernel.fail_write(attribute("power/control"))
    with pytest.raises(StepFailed, match=f"Keeping {GPU} awake failed"):
        BIND.apply(bind(machine, params={"awake": True}), machine)


def test_a_device_without_a_driver_goes_back_to_none(boot):
    _, machine = boot(scenarios.single_gpu_amdgpu_desktop())
    address = "0000:01:00.3"
    _, bound = give(machine, address)
    assert BIND.undo(bound, machine) is None
    assert driver_of(machine.paths, address) is None
    assert BIND.probe(bound, machine) is State.BEFORE


def test_nothing_is_unbound_before_driver_override_is_aimed(nic):
    fake, machine = nic
    with pytest.raises(StepFailed, match="says nothing, not vfio-pci"):
        BIND.apply(bind(machine), machine)
    assert fake.kernel.writes() == []


def test_a_device_on_nvidia_is_never_unbound_without_leave(idle_card):
    _, machine = idle_card
    with pytest.raises(StepFailed, match="never returns from an unbind") as caught:
        BIND.guard(bind(machine), machine)
    assert caught.value.code == "driver.nvidia_unbind"
    BIND.guard(bind(machine, params={"unbind_alone": True}), machine)
    BIND.guard(bind(machine, params={"allow_nvidia_unbind": True}), machine)  # the word of plugin API 1


def test_a_device_on_nvidia_is_not_unbound_while_held_even_with_leave(boot):
    _, machine = boot(scenarios.two_nvidia(held=True))
    with pytest.raises(StepFailed, match=r"is held by .*python3 \(pid 5000300") as caught:
        BIND.guard(bind(machine, params={"unbind_alone": True}), machine)
    assert caught.value.code == "device.held"


@pytest.mark.parametrize("node", ["/dev/nvidiactl", "/dev/nvidia-modeset", "/dev/nvidia-uvm"])
def test_on_nvidia_whoever_has_a_node_that_the_cards_share_may_hold_this_one(boot, node):
    fake, machine = boot(replace(scenarios.two_nvidia(), processes=()))
    BIND.guard(bind(machine, params={"unbind_alone": True}), machine)
    fake.kernel.add_process(FakeProcess("kwin_wayland", opens=(node,)))
    with pytest.raises(StepFailed, match="kwin_wayland") as caught:
        BIND.guard(bind(machine, params={"unbind_alone": True}), machine)
    assert caught.value.code == "device.held"


def test_a_display_is_not_unbound_while_held(desktop):
    _, machine = desktop
    with pytest.raises(StepFailed, match=r"Xorg \(pid \d+, lightdm\.service\)"):
        BIND.guard(bind(machine), machine)


def test_a_sound_function_is_not_unbound_while_its_node_is_open(desktop):
    fake, machine = desktop
    for holder in machine.host().holders((AUDIO,)):
        fake.kernel.end_process(holder.pid)
    BIND.guard(bind(machine, AUDIO), machine)
    fake.kernel.add_process(FakeProcess("wireplumber", opens=("/dev/snd/controlC0",)))
    with pytest.raises(StepFailed, match="wireplumber"):
        BIND.guard(bind(machine, AUDIO), machine)


def test_logind_may_keep_a_display_node_but_not_a_sound_node(desktop):
    fake, machine = desktop
    for holder in machine.host().holders((GPU, AUDIO)):
        fake.kernel.end_process(holder.pid)
    unit = "systemd-logind.service"
    fake.kernel.add_process(FakeProcess("systemd-logind", opens=("/dev/dri/card0",), unit=unit))
    BIND.guard(bind(machine), machine)
    fake.kernel.add_process(FakeProcess("systemd-logind", opens=("/dev/snd/controlC0",), unit=unit))
    with pytest.raises(StepFailed, match="systemd-logind"):
        BIND.guard(bind(machine, AUDIO), machine)


@pytest.mark.parametrize("error", [errno.EBUSY, errno.ENODEV])
def test_a_refused_unbind_is_said_with_the_kernels_reason_and_undone(nic, error):
    fake, machine = nic
    aimed, bound = aim(machine), bind(machine)
    OVERRIDE.apply(aimed, machine)
    fake.kernel.fail_write("/sys/bus/pci/drivers/igb/unbind", error)
    with pytest.raises(StepFailed, match=f"Unbinding {GPU} from igb failed") as caught:
        BIND.apply(bound, machine)
    assert caught.value.code == "device.write_failed"
    assert BIND.probe(bound, machine) is State.BEFORE
    OVERRIDE.undo(aimed, machine)
    assert read_override(machine, GPU) is None


def test_a_probe_that_binds_nothing_although_it_says_success_ends_at_the_deadline(nic):
    fake, machine = nic
    aimed, bound = aim(machine), bind(machine, deadline=0.3)
    OVERRIDE.apply(aimed, machine)
    fake.kernel.fail_probe(GPU, VFIO)
    with pytest.raises(DeadlineExceeded, match="did not get the driver vfio-pci; it is without a driver"):
        BIND.apply(bound, machine)
    assert BIND.probe(bound, machine) is State.BETWEEN
    BIND.undo(bound, machine)
    assert driver_of(machine.paths, GPU) == "igb"


def test_a_write_that_never_returns_makes_the_device_stuck_and_nothing_more_is_written(nic):
    fake, machine = nic
    aimed, bound = aim(machine), bind(machine, deadline=0.2)
    OVERRIDE.apply(aimed, machine)
    fake.kernel.hang_write("/sys/bus/pci/drivers/igb/unbind")
    with pytest.raises(Stuck):
        BIND.apply(bound, machine)
    fake.kernel.clear_log()
    assert BIND.probe(bound, machine) is State.STUCK
    assert OVERRIDE.probe(aimed, machine) is State.STUCK
    for act in (lambda: BIND.undo(bound, machine), lambda: OVERRIDE.undo(aimed, machine),
                lambda: BIND.apply(bound, machine), lambda: BIND.guard(bound, machine)):  # fmt: skip
        with pytest.raises(Stuck, match="is stuck"):
            act()
    assert fake.kernel.writes() == []


def test_an_unbind_that_blocks_on_an_open_sound_node_is_looked_at_anew_when_it_clears(desktop):
    fake, machine = desktop
    for holder in machine.host().holders((AUDIO,)):
        fake.kernel.end_process(holder.pid)
    aimed, bound = aim(machine, AUDIO), bind(machine, AUDIO, deadline=0.2)
    OVERRIDE.apply(aimed, machine)
    BIND.guard(bound, machine)
    pid = fake.kernel.add_process(FakeProcess("wireplumber", opens=("/dev/snd/controlC0",)))
    with pytest.raises(Stuck):
        BIND.apply(bound, machine)
    assert driver_of(machine.paths, AUDIO) is None, "the link goes before the kernel waits"
    assert BIND.probe(bound, machine) is State.STUCK
    fake.kernel.end_process(pid)
    assert until(lambda: stuck_write(machine, AUDIO) is None, 5)
    assert BIND.probe(bound, machine) is State.BETWEEN
    assert BIND.undo(bound, machine) is None
    assert OVERRIDE.undo(aimed, machine) is None
    assert driver_of(machine.paths, AUDIO) == "snd_hda_intel"


def test_a_device_whose_mediated_device_is_opened_meanwhile_is_not_unbound(boot):
    machine = scenarios.generic_nic()
    parent = replace(machine.devices[-1], mediated=(("5a7c1f0e-6d3b-4c2a-9f8e-0b1c2d3e4f50", "77"),))
    fake, machine = boot(replace(machine, devices=(*machine.devices[:-1], parent)))
    aimed, bound = aim(machine), bind(machine)
    OVERRIDE.apply(aimed, machine)
    BIND.guard(bound, machine)
    arguments = ("qemu-system-x86_64", "-name", "guest=small")
    fake.kernel.add_process(FakeProcess("qemu-system-x86", opens=("/dev/vfio/77",), cmdline=arguments))
    with pytest.raises(StepFailed, match="guest small") as caught:
        BIND.guard(bound, machine)
    assert caught.value.code == "device.mediated_in_use"
    assert driver_of(machine.paths, GPU) == "igb"


def test_an_override_that_cannot_be_read_makes_the_device_stuck(nic):
    fake, machine = nic
    step = aim(machine)
    fake.kernel.hang_read(attribute("driver_override"), count=-1)
    with pytest.raises(Stuck, match="does not return"):
        OVERRIDE.apply(step, machine)
    assert OVERRIDE.probe(step, machine) is State.STUCK


def test_a_read_that_never_returns_keeps_no_lock_of_ours(nic, tmp_path):
    fake, machine = nic
    fake.kernel.hang_read(attribute("driver_override"), count=-1)
    with Lock(str(tmp_path / "lock")) as lock, pytest.raises(Stuck):
        OVERRIDE.probe(aim(machine, baseline={"value": None}), Machine(fake.paths, fake.programs.holding(lock.fd)))
    assert not Lock(str(tmp_path / "lock")).is_held_elsewhere()


def test_a_device_that_someone_else_bound_meanwhile_is_left_alone(idle_card):
    """The card's own driver is nvidia; it comes back on another one that is not ours."""
    _, machine = idle_card
    bound = bind(machine, baseline={"driver": "nouveau"})
    assert BIND.undo(bound, machine) == f"{GPU} is on nvidia, where someone else put it: left alone"
    assert driver_of(machine.paths, GPU) == "nvidia"


def test_a_device_that_a_process_has_open_is_not_taken_from_it(nic):
    fake, machine = nic
    _, bound = give(machine)
    pid = fake.kernel.add_process(FakeProcess("qemu-system-x86", opens=("/dev/vfio/14",)))
    with pytest.raises(DeadlineExceeded, match=f"still open in process {pid}"):
        BIND.undo(replace(bound, deadline=0.2), machine)
    assert driver_of(machine.paths, GPU) == VFIO
    fake.kernel.end_process(pid)
    assert BIND.undo(bound, machine) is None


def test_a_crash_between_unbind_and_probe_is_undone(nic):
    _, machine = nic
    aimed, bound = aim(machine), bind(machine)
    OVERRIDE.apply(aimed, machine)
    Path(machine.paths.at("sys/bus/pci/drivers/igb/unbind")).write_text(GPU)
    assert BIND.probe(bound, machine) is State.BETWEEN
    assert BIND.undo(bound, machine) is None
    assert OVERRIDE.undo(aimed, machine) is None
    assert driver_of(machine.paths, GPU) == "igb"


def test_a_device_that_fell_off_the_bus_is_a_failure_for_its_driver_and_none_for_its_override(nic):
    fake, machine = nic
    aimed, bound = give(machine)
    fake.kernel.disappear(GPU)
    assert BIND.probe(bound, machine) is State.BETWEEN
    for act in (BIND.undo, BIND.guard):
        with pytest.raises(StepFailed, match="is gone from the bus"):
            act(bound, machine)
    assert "is gone" in OVERRIDE.undo(aimed, machine)


def test_bridges_and_unknown_addresses_are_found_by_the_check(nic):
    _, machine = nic

    def codes(address):
        proposal = StepProposal("x", "driver.bind", {"address": address, "driver": VFIO}, "a test")
        return [f.code for f in BIND.check(proposal, machine.host())]

    assert codes("0000:00:01.0") == ["device.bridge"]
    assert codes("0000:77:00.0") == ["device.missing"]
    assert codes(GPU) == []


def test_an_override_that_was_set_before_comes_back(nic):
    _, machine = nic
    Path(machine.paths.pci(GPU, "driver_override")).write_text("igb\n")
    aimed, bound = give(machine)
    assert aimed.baseline == {"value": "igb"}
    BIND.undo(bound, machine)
    OVERRIDE.undo(aimed, machine)
    assert read_override(machine, GPU) == "igb"
