"""A unit that does not end on SIGTERM: the display manager is killed for the hand-off, and nothing else ever is."""

from __future__ import annotations

import re
import time
from dataclasses import replace

import pytest
from step_builders import planned

from vfioctl.errors import DeadlineExceeded, StepFailed
from vfioctl.kinds.systemd.session_end import KIND as SESSION
from vfioctl.kinds.systemd.unit_restart import KIND as RESTART
from vfioctl.kinds.systemd.unit_stop import KIND as STOP
from vfioctl.testing import scenarios
from vfioctl.testing.model import FakeProcess, FakeSession, FakeUnit
from vfioctl.txn.step import Frees, State

MANAGER = "lightdm.service"
DATABASE = "postgresql.service"
KILL = ["systemctl", "kill", "--signal=SIGKILL", "--"]


@pytest.fixture
def greeter(boot):
    database = FakeUnit(DATABASE, brings=(FakeProcess("postgres", unit=DATABASE),))
    machine = scenarios.single_gpu_nvidia_desktop(logged_in=False)
    return boot(replace(machine, units=(*machine.units, database)))


def stop(machine, unit=MANAGER, deadline=1.5, **changes):
    return planned(machine, "unit.stop", {"unit": unit}, deadline=deadline, **changes)


def state(fake, unit=MANAGER):
    return fake.kernel.units()[f"system/{unit}"]["active"]


def kills(fake):
    return [call["argv"][4:] for call in fake.kernel.calls() if call["argv"][:4] == KILL]


def test_a_display_manager_that_does_not_stop_is_killed_after_two_thirds_of_the_time(greeter):
    fake, machine = greeter
    fake.kernel.set_unit(MANAGER, ignores_term=True)
    step, began = stop(machine, deadline=3.0), time.monotonic()
    assert re.fullmatch(rf"{MANAGER} did not stop within (2|1\.\d) s and was killed", STOP.apply(step, machine))
    assert 1.0 < time.monotonic() - began < 3.0
    assert kills(fake) == [[MANAGER]]
    assert not any(process["comm"] == "Xorg" for process in fake.kernel.processes())


def test_one_that_was_killed_is_started_again(greeter):
    fake, machine = greeter
    fake.kernel.set_unit(MANAGER, ignores_term=True)
    step = stop(machine)
    STOP.apply(step, machine)
    assert STOP.probe(step, machine) is State.AFTER
    assert STOP.undo(step, machine) is None
    assert state(fake) == "active"


def test_one_that_stops_by_itself_is_not_killed(greeter):
    fake, machine = greeter
    assert STOP.apply(stop(machine), machine) is None
    assert kills(fake) == []


@pytest.mark.parametrize("unit", [MANAGER, "display-manager.service"])
def test_it_is_the_same_unit_under_its_alias(greeter, unit):
    fake, machine = greeter
    fake.kernel.set_unit(MANAGER, ignores_term=True)
    assert "was killed" in STOP.apply(stop(machine, unit), machine)
    assert state(fake) != "active"


def test_a_login_screen_that_it_waits_for_is_killed_first_and_then_it_ends_by_itself(greeter):
    fake, machine = greeter
    fake.kernel.set_unit(MANAGER, stop_waits=True)
    step = stop(machine, releases=(Frees(unit=MANAGER), Frees(session="c1")))
    assert STOP.apply(step, machine).endswith("s and ended when its login screen (session-c1.scope) was killed")
    assert kills(fake) == [["session-c1.scope"]]
    assert (state(fake), fake.kernel.sessions()) == ("inactive", {})


def test_it_is_killed_as_well_when_that_does_not_help(greeter):
    fake, machine = greeter
    fake.kernel.set_unit(MANAGER, ignores_term=True)
    step = stop(machine, releases=(Frees(unit=MANAGER), Frees(session="c1")))
    assert STOP.apply(step, machine).endswith("and was killed")
    assert kills(fake) == [["session-c1.scope"], [MANAGER]]


def test_a_users_session_that_has_the_number_of_a_login_screen_by_now_is_not_killed(greeter):
    fake, machine = greeter
    fake.kernel.set_unit(MANAGER, ignores_term=True)
    step = stop(machine, releases=(Frees(unit=MANAGER), Frees(session="c1")))
    fake.kernel.end_session("c1")
    fake.kernel.add_session(FakeSession("c1", "alice", 1000, leader=fake.kernel.add_process(FakeProcess("sway"))))
    STOP.apply(step, machine)
    assert kills(fake) == [[MANAGER]]
    assert "c1" in fake.kernel.sessions()


def test_a_service_that_does_not_stop_is_left_to_systemd(greeter):
    """It may have data to write: systemd gives it the time that its unit file says, and the hand-off is undone."""
    fake, machine = greeter
    fake.kernel.set_unit(DATABASE, ignores_term=True)
    step = stop(machine, DATABASE, deadline=0.6)
    with pytest.raises(DeadlineExceeded):
        STOP.apply(step, machine)
    assert STOP.probe(step, machine) is State.BETWEEN
    with pytest.raises(DeadlineExceeded, match=r"has not stopped yet\. systemd starts it as soon as it has") as caught:
        STOP.undo(step, machine)
    assert (caught.value.code, kills(fake)) == ("unit.stopping", [])
    fake.programs.run(("systemctl", "kill", "--signal=SIGKILL", "--", DATABASE), deadline=5)  # TimeoutStopSec= is over
    assert state(fake, DATABASE) == "active"
    assert "already runs" in STOP.undo(step, machine)


@pytest.mark.parametrize("queued", ["stop", "start"])
def test_a_return_kills_a_display_manager_whose_stop_was_left_behind_and_starts_it(greeter, queued):
    """The hook was killed in the middle of the stop."""
    fake, machine = greeter
    step = stop(machine)
    fake.kernel.set_unit(MANAGER, ignores_term=True)
    for verb in dict.fromkeys(("stop", queued)):
        with pytest.raises(DeadlineExceeded):
            fake.programs.run(("systemctl", verb, "--", MANAGER), deadline=0.2)
    assert STOP.probe(step, machine) is State.BETWEEN
    assert "and was killed" in STOP.undo(step, machine)
    assert state(fake) == "active"
    assert [process["comm"] for process in fake.kernel.processes()].count("Xorg") == 1


def test_one_that_not_even_sigkill_ends_is_a_failure_that_says_so(greeter):
    fake, machine = greeter
    fake.kernel.set_unit(MANAGER, stop_hangs=True)
    with pytest.raises(DeadlineExceeded, match=r"did not stop within 0\.\d s .*, but has not ended") as caught:
        STOP.apply(stop(machine, deadline=0.6), machine)
    assert caught.value.code == "unit.runs"
    with pytest.raises(DeadlineExceeded, match="was killed, but has not ended"):
        STOP.undo(stop(machine, deadline=0.6, baseline={"active": True}), machine)


def test_a_kill_that_systemd_refuses_is_a_failure(greeter):
    fake, machine = greeter
    fake.kernel.set_unit(MANAGER, ignores_term=True)
    fake.kernel.fail_program("systemctl", 1, arguments="kill *")
    with pytest.raises(StepFailed, match="systemctl kill") as caught:
        STOP.apply(stop(machine), machine)
    assert caught.value.code == "unit.stop_failed"


def test_a_display_manager_that_has_not_begun_to_stop_is_not_killed(greeter):
    """systemd itself is slow: another stop may have to end first."""
    fake, machine = greeter
    fake.kernel.hang_program("systemctl", arguments=f"stop -- {MANAGER}")
    assert STOP.apply(stop(machine), machine) is None
    assert (state(fake), kills(fake)) == ("inactive", [])


def test_one_that_is_restarted_for_its_card_is_killed_when_it_does_not_stop(greeter):
    fake, machine = greeter
    for process in fake.kernel.processes():
        if process["comm"] == "Xorg":
            fake.kernel.end_process(process["pid"])
    fake.kernel.set_unit(MANAGER, ignores_term=True)
    drawn = {"kind": "has.holder", "args": {"addresses": [scenarios.GPU], "by": MANAGER}}
    params = {"unit": MANAGER, "unless": drawn, "once": []}
    said = RESTART.apply(planned(machine, "unit.restart", params, deadline=2.0), machine)
    assert re.search(r"it was restarted; lightdm.service did not stop within \d(\.\d)? s and was killed$", said)
    assert [process["comm"] for process in fake.kernel.processes()].count("Xorg") == 1


def lingering(fake, machine, deadline=1.5):
    session = next(one for one in machine.host().sessions() if one.user == "alice")
    fake.kernel.end_session(session.id)
    fake.kernel.add_session(FakeSession(
        "2", "alice", 1000, leader=session.leader, ends_with=(MANAGER,), lingers=True))  # fmt: skip
    params = {
        "session": session.id, "user": session.user, "uid": session.uid, "leader": session.leader,
        "start_time": 4200, "scope": session.scope,
    }  # fmt: skip
    return planned(machine, "session.end", params, deadline=deadline)


def test_the_leader_of_a_session_that_does_not_end_is_killed_and_no_program_of_the_user(desktop):
    fake, machine = desktop
    step = lingering(fake, machine)
    assert SESSION.apply(step, machine) == "session 2 of alice did not end in time: its leader was killed"
    assert ["loginctl", "kill-session", "--kill-who=leader", "--signal=SIGKILL", "--", "2"] in [
        call["argv"] for call in fake.kernel.calls()]  # fmt: skip
    assert "2" not in fake.kernel.sessions()


def test_a_session_whose_programs_go_on_is_a_failure_that_names_its_scope(desktop):
    fake, machine = desktop
    step = lingering(fake, machine, deadline=0.6)
    fake.kernel.fail_program("loginctl", 1, arguments="kill-session *")
    with pytest.raises(DeadlineExceeded, match=r"systemctl status session-2\.scope") as caught:
        SESSION.apply(step, machine)
    assert caught.value.code == "session.lingers"
