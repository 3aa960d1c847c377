"""unit.hold against a simulated systemd: nobody's but for the moment, and harmless where nobody is to be held."""

from __future__ import annotations

import pytest
from step_builders import planned

from vfioctl.errors import StepFailed
from vfioctl.kinds.systemd.unit_hold import KIND as HOLD
from vfioctl.kinds.systemd.unit_stop import KIND as STOP
from vfioctl.testing.host import FakeHost
from vfioctl.txn.machine import Machine
from vfioctl.txn.step import Step, StepProposal

DM = {"unit": "lightdm.service"}


@pytest.fixture
def fake(desktop: tuple[FakeHost, Machine]) -> FakeHost:
    return desktop[0]


@pytest.fixture
def machine(desktop: tuple[FakeHost, Machine]) -> Machine:
    return desktop[1]


@pytest.fixture
def step(machine: Machine) -> Step:
    return planned(machine, "unit.hold", DM)


def standing(fake: FakeHost) -> list[str]:
    return [one["comm"] for one in fake.kernel.processes() if one["paused"]]


def test_the_main_process_stands_still_until_the_undo(fake: FakeHost, machine: Machine, step: Step) -> None:
    assert HOLD.apply(step, machine) is None
    assert standing(fake) == ["lightdm"]
    assert HOLD.undo(step, machine) is None
    assert standing(fake) == []
    assert HOLD.undo(step, machine) is None


def test_no_guest_holds_it_and_what_stops_the_unit_waits_for_its_turn(step: Step) -> None:
    assert (step.resource, step.touches) == ("", ("unit:lightdm.service",))


def test_a_unit_without_a_main_process_has_none_that_stands_still(machine: Machine, step: Step) -> None:
    STOP.apply(planned(machine, "unit.stop", DM), machine)
    assert HOLD.apply(step, machine) == "lightdm.service has no main process"
    assert HOLD.undo(step, machine) == "lightdm.service has no main process"


@pytest.mark.parametrize("signal", ["SIGSTOP", "SIGCONT"])
def test_a_systemd_that_refuses_is_a_failure(fake: FakeHost, machine: Machine, step: Step, signal: str) -> None:
    fake.kernel.fail_program("systemctl", 1, arguments=f"*--signal={signal} -- lightdm.service")
    with pytest.raises(StepFailed) as caught:
        (HOLD.apply if signal == "SIGSTOP" else HOLD.undo)(step, machine)
    assert caught.value.code == "unit.hold_failed"


def test_one_that_is_held_is_stopped_as_always(fake: FakeHost, machine: Machine, step: Step) -> None:
    HOLD.apply(step, machine)
    assert STOP.apply(planned(machine, "unit.stop", DM), machine) is None
    assert standing(fake) == []


def test_a_unit_that_is_not_there_is_found_by_the_check(machine: Machine) -> None:
    proposal = StepProposal("x", "unit.hold", {"unit": "absent.service"}, "a test")
    assert [one.code for one in HOLD.check(proposal, machine.host())] == ["unit.unknown"]
