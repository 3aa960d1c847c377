"""unit.stop, unit.start, session.end and inhibit.sleep against a simulated systemd and logind."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from step_builders import planned

from vfioctl.errors import DeadlineExceeded, StepFailed, VfioctlError
from vfioctl.kinds.systemd.inhibit_sleep import KIND as INHIBIT
from vfioctl.kinds.systemd.session_end import KIND as SESSION
from vfioctl.kinds.systemd.unit_restart import KIND as RESTART
from vfioctl.kinds.systemd.unit_start import KIND as START
from vfioctl.kinds.systemd.unit_stop import KIND as STOP
from vfioctl.testing import scenarios
from vfioctl.testing.model import FakeProcess, FakeSession
from vfioctl.txn.step import State, StepProposal
from vfioctl.wait import until

DM = {"unit": "lightdm.service"}
SOUND = {"unit": "pipewire.service", "uid": 1000}


def active(fake, name):
    return fake.kernel.units()[name]["active"] == "active"


@pytest.mark.parametrize(("params", "name"), [(DM, "system/lightdm.service"), (SOUND, "1000/pipewire.service")])
def test_a_unit_is_stopped_and_started_again(desktop, params, name):
    fake, machine = desktop
    step = planned(machine, "unit.stop", params)
    assert STOP.probe(step, machine) is State.BEFORE
    assert STOP.apply(step, machine) is None
    assert not active(fake, name)
    assert STOP.probe(step, machine) is State.AFTER
    assert "does not run" in STOP.apply(step, machine)
    assert STOP.undo(step, machine) is None
    assert active(fake, name)
    assert "already runs" in STOP.undo(step, machine)
    assert STOP.probe(step, machine) is State.BEFORE


def test_a_unit_that_did_not_run_before_is_not_started(nvidia_desktop):
    fake, machine = nvidia_desktop
    step = planned(machine, "unit.stop", {"unit": "nvidia-powerd.service"})
    assert "does not run" in STOP.apply(step, machine)
    assert STOP.undo(step, machine) == "nvidia-powerd.service did not run before"
    assert not active(fake, "system/nvidia-powerd.service")
    assert STOP.render_undo(step, machine.paths) == ()


def test_a_unit_with_a_queued_start_counts_as_running(desktop):
    fake, machine = desktop
    fake.kernel.set_unit("lightdm.service", job="start", active_state="inactive")
    assert planned(machine, "unit.stop", DM).baseline == {"active": True}


def test_earlier_failed_starts_do_not_count_against_the_undo(desktop):
    fake, machine = desktop
    step = planned(machine, "unit.stop", DM)
    STOP.apply(step, machine)
    fake.kernel.set_unit("lightdm.service", active_state="failed", start_limit=1)
    assert STOP.undo(step, machine) is None
    assert active(fake, "system/lightdm.service")


def test_a_stop_that_hangs_ends_at_the_deadline(desktop):
    fake, machine = desktop
    fake.kernel.set_unit("lightdm.service", stop_hangs=True)
    with pytest.raises(DeadlineExceeded):
        STOP.apply(planned(machine, "unit.stop", DM, deadline=0.4), machine)


def says_only_that_it_did(fake, verb):
    """systemctl reports success, and what it did does not last: the unit has ended again, or runs again."""
    program = Path(fake.root, "usr/bin/systemctl")
    shebang, rest = program.read_text().split("\n", 1)
    program.write_text(f'{shebang}\n[ "$1" != {verb} ] || exit 0\n{rest}')


def test_a_unit_that_runs_again_after_its_stop_is_no_stopped_unit(desktop):
    fake, machine = desktop
    says_only_that_it_did(fake, "stop")
    with pytest.raises(DeadlineExceeded, match=r"lightdm\.service was stopped, but runs again or still"):
        STOP.apply(planned(machine, "unit.stop", DM, deadline=0.4), machine)


def test_a_unit_that_ends_right_after_its_start_is_no_started_unit(desktop):
    fake, machine = desktop
    step = planned(machine, "unit.stop", DM, deadline=0.8)
    STOP.apply(step, machine)
    says_only_that_it_did(fake, "start")
    with pytest.raises(StepFailed, match=r"lightdm\.service was started, but is inactive"):
        STOP.undo(step, machine)


def test_a_unit_on_its_way_is_neither_before_nor_after(desktop):
    fake, machine = desktop
    step = planned(machine, "unit.stop", DM)
    fake.kernel.set_unit("lightdm.service", active_state="deactivating")
    assert STOP.probe(step, machine) is State.BETWEEN


def test_a_start_that_fails_says_why(desktop):
    fake, machine = desktop
    step = planned(machine, "unit.stop", DM)
    STOP.apply(step, machine)
    fake.kernel.set_unit("lightdm.service", start_fails=True)
    with pytest.raises(StepFailed) as caught:
        STOP.undo(step, machine)
    assert caught.value.code == "unit.start_failed"


def test_a_program_that_fails_or_is_missing_is_a_failure(desktop):
    fake, machine = desktop
    step = planned(machine, "unit.stop", DM)
    fake.kernel.fail_program("systemctl", 1, arguments="stop -- lightdm.service")
    with pytest.raises(StepFailed, match="systemctl stop") as caught:
        STOP.apply(step, machine)
    assert caught.value.code == "unit.stop_failed"
    fake.kernel.remove_program("systemctl")
    with pytest.raises(StepFailed, match="not installed"):
        STOP.apply(step, machine)


def test_an_unknown_unit_is_found_by_the_check(desktop):
    _, machine = desktop
    proposal = StepProposal("x", "unit.stop", {"unit": "nowhere.service"}, "a test")
    assert [f.code for f in STOP.check(proposal, machine.host())] == ["unit.unknown"]


def test_a_started_unit_is_stopped_again_only_when_it_did_not_run_before(nvidia_desktop):
    fake, machine = nvidia_desktop
    step = planned(machine, "unit.start", {"unit": "nvidia-powerd.service"})
    assert START.probe(step, machine) is State.BEFORE
    assert START.apply(step, machine) is None
    assert active(fake, "system/nvidia-powerd.service")
    assert START.probe(step, machine) is State.AFTER
    assert "already runs" in START.apply(step, machine)
    assert START.undo(step, machine) is None
    assert "does not run" in START.undo(step, machine)
    running = planned(machine, "unit.start", DM)
    assert START.undo(running, machine) == "lightdm.service ran before"
    assert active(fake, "system/lightdm.service")


def session_step(machine, **changes):
    session = next(s for s in machine.host().sessions() if s.user == "alice")
    params = {
        "session": session.id, "user": session.user, "uid": session.uid, "leader": session.leader,
        "start_time": 4200, "scope": session.scope,
    }  # fmt: skip
    return planned(machine, "session.end", {**params, **changes.pop("params", {})}, **changes)


def test_a_session_ends_for_good(desktop):
    fake, machine = desktop
    step = session_step(machine)
    SESSION.guard(step, machine)
    assert SESSION.probe(step, machine) is State.BEFORE
    assert SESSION.apply(step, machine) is None
    assert step.params["session"] not in fake.kernel.sessions()
    assert SESSION.probe(step, machine) is State.AFTER
    assert "has ended already" in SESSION.apply(step, machine)
    assert "cannot be brought back" in SESSION.undo(step, machine)


def told(fake):
    return [call["argv"] for call in fake.kernel.calls() if call["argv"][0] == "busctl"]


def test_a_user_is_told_on_the_screen_before_the_session_ends(desktop):
    fake, machine = desktop
    SESSION.apply(session_step(machine, params={"warning": "Guest <b>&x takes the card."}), machine)
    (notice, end) = [c for c in fake.kernel.calls() if c["argv"][0] == "busctl" or "terminate-session" in c["argv"]]
    assert (notice["argv"][0], notice["status"], end["argv"][0]) == ("busctl", 0, "loginctl")
    assert "--machine=1000@.host" in notice["argv"]
    assert notice["argv"][-11:] == [
        "vfioctl", "0", "dialog-warning", "Your session ends now", "Guest &lt;b&gt;&amp;x takes the card.",
        "0", "1", "urgency", "y", "2", "0",
    ]  # fmt: skip


def test_without_a_warning_nobody_is_told(desktop):
    fake, machine = desktop
    SESSION.apply(session_step(machine), machine)
    assert told(fake) == []


def test_a_manager_that_does_not_run_is_not_started_to_tell_anybody(desktop):
    fake, machine = desktop
    step = session_step(machine, params={"warning": "The card goes.", "uid": 4711})
    SESSION.apply(step, machine)
    assert told(fake) == []
    assert step.params["session"] not in fake.kernel.sessions()


@pytest.mark.parametrize("trouble", ["hangs", "fails", "missing"])
def test_a_session_ends_in_its_time_also_when_its_user_cannot_be_told(desktop, trouble):
    fake, machine = desktop
    step = session_step(machine, params={"warning": "The card goes."}, deadline=3.0)
    if trouble == "missing":
        fake.kernel.remove_program("busctl")
    elif trouble == "hangs":
        fake.kernel.hang_program("busctl")
    else:
        fake.kernel.fail_program("busctl", 1)
    began = time.monotonic()
    SESSION.apply(step, machine)
    assert time.monotonic() - began < step.deadline
    assert step.params["session"] not in fake.kernel.sessions()


def test_another_session_with_the_same_number_is_refused(desktop):
    _, machine = desktop
    step = session_step(machine, params={"leader": 4, "start_time": 1})
    with pytest.raises(StepFailed, match="not the planned one"):
        SESSION.guard(step, machine)


def test_sleep_is_inhibited_until_the_undo(desktop):
    fake, machine = desktop
    step = planned(machine, "inhibit.sleep", {"who": "vfioctl: it's \"win 11\"", "why": "the guest has the card"})
    assert INHIBIT.probe(step, machine) is State.BEFORE
    assert INHIBIT.apply(step, machine) is None
    assert INHIBIT.probe(step, machine) is State.AFTER
    assert "already" in INHIBIT.apply(step, machine)
    assert until(lambda: [i["who"] for i in fake.kernel.inhibitors()] == ["vfioctl: it's \"win 11\""], 5)
    assert INHIBIT.undo(step, machine) is None
    assert "does not run" in INHIBIT.undo(step, machine)
    assert until(lambda: fake.kernel.inhibitors() == [], 5)
    assert INHIBIT.probe(step, machine) is State.BEFORE


def test_an_inhibitor_that_a_hand_off_left_behind_ends_with_the_next_one(desktop):
    fake, machine = desktop
    params = {"who": "vfioctl", "why": "a guest"}
    INHIBIT.apply(planned(machine, "inhibit.sleep", params), machine)
    step = planned(machine, "inhibit.sleep", params)
    assert "already" in INHIBIT.apply(step, machine)
    assert INHIBIT.undo(step, machine) is None
    assert until(lambda: fake.kernel.inhibitors() == [], 5)


def test_an_inhibitor_that_cannot_be_started_is_said(desktop):
    fake, machine = desktop
    step = planned(machine, "inhibit.sleep", {"who": "vfioctl", "why": "a guest"})
    fake.kernel.remove_program("systemd-run")
    with pytest.raises(StepFailed, match="systemd-run is not installed"):
        INHIBIT.apply(step, machine)
    assert INHIBIT.probe(step, machine) is State.BEFORE


def test_what_needs_systemd_is_found_by_the_check_where_there_is_none(boot):
    _, machine = boot(replace(scenarios.generic_nic(), systemd=False))
    for form, params in ((STOP, DM), (INHIBIT, {"who": "a", "why": "b"}), (SESSION, {"session": "2"})):
        proposal = StepProposal("x", form.name, params, "a test")
        assert [f.code for f in form.check(proposal, machine.host())] == ["systemd.missing"]


def test_a_session_that_logind_does_not_end_is_a_failure(desktop):
    fake, machine = desktop
    step = session_step(machine, deadline=1.0)
    fake.kernel.fail_program("loginctl", 1, arguments=f"terminate-session -- {step.params['session']}")
    with pytest.raises(StepFailed, match="terminate-session") as caught:
        SESSION.apply(step, machine)
    assert caught.value.code == "session.end_failed"
    assert SESSION.probe(step, machine) is State.BEFORE


def test_a_user_unit_whose_manager_has_ended_is_as_if_it_were_not_there_and_nothing_asks_the_manager(desktop):
    """systemctl --user --machine=UID@.host would start the manager of a user who has gone."""
    fake, machine = desktop
    step = planned(machine, "unit.stop", SOUND)
    for session in fake.kernel.sessions():
        fake.kernel.end_session(session)
    for name in (name for name in fake.kernel.units() if name.startswith("1000/")):
        fake.kernel.set_unit(name.partition("/")[2], uid=1000, active_state="inactive")
    fake.kernel.clear_log()
    assert STOP.undo(step, machine) == "pipewire.service of user 1000 went with its user manager"
    assert STOP.apply(step, machine) == "pipewire.service of user 1000 does not run"
    assert not [call for call in fake.kernel.calls() if "--user" in str(call)]


def test_a_user_manager_that_runs_and_does_not_answer_is_an_error(desktop):
    fake, machine = desktop
    step = planned(machine, "unit.stop", SOUND)
    fake.kernel.fail_program("systemctl", 1, arguments=NO_ANSWER, count=-1)
    with pytest.raises(VfioctlError) as caught:
        STOP.undo(step, machine)
    assert caught.value.code == "unit.unreadable"


NO_ANSWER = (
    "--user --machine=1000@.host show --no-pager --property=Id,LoadState,ActiveState,Job,MainPID -- pipewire.service"
)


# A unit that came back before its card

DRAWN = {"kind": "has.holder", "args": {"addresses": [scenarios.GPU], "by": "lightdm.service"}}
ON_BUS = {"kind": "path.exists", "args": {"path": f"/sys/bus/pci/devices/{scenarios.GPU}"}}
LOST = {"kind": "path.absent", "args": {"path": f"/sys/bus/pci/devices/{scenarios.GPU}"}}


@pytest.fixture
def greeter(boot):
    return boot(scenarios.single_gpu_nvidia_desktop(logged_in=False))


def again(machine, *once, deadline=1.0):
    return planned(machine, "unit.restart", {**DM, "unless": DRAWN, "once": list(once)}, deadline=deadline)


def lose_the_card(fake):
    """The display manager goes on without the X server that it had; a service still has the card open."""
    for process in fake.kernel.processes():
        if process["comm"] == "Xorg":
            fake.kernel.end_process(process["pid"])


def test_a_unit_that_runs_without_its_effect_is_restarted_once(greeter):
    fake, machine = greeter
    lose_the_card(fake)
    step = again(machine, ON_BUS)
    assert RESTART.probe(step, machine) is State.BEFORE
    assert RESTART.apply(step, machine) == f"it ran, but not so that somebody holds {scenarios.GPU}: it was restarted"
    assert [process["comm"] for process in fake.kernel.processes()].count("Xorg") == 1
    assert RESTART.apply(step, machine) == f"somebody holds {scenarios.GPU} already"
    assert RESTART.probe(step, machine) is State.AFTER


def test_earlier_failed_starts_do_not_count_against_the_restart(greeter):
    fake, machine = greeter
    lose_the_card(fake)
    fake.kernel.set_unit("lightdm.service", start_limit=1)
    RESTART.apply(again(machine), machine)
    lose_the_card(fake)
    RESTART.apply(again(machine), machine)
    assert active(fake, "system/lightdm.service")


def test_a_unit_that_has_its_effect_in_time_is_left_alone(greeter):
    fake, machine = greeter
    RESTART.apply(again(machine), machine)
    assert not [call for call in fake.kernel.calls() if "restart" in call["argv"]]


def test_a_unit_is_not_restarted_where_that_would_bring_nothing(greeter):
    fake, machine = greeter
    lose_the_card(fake)
    with pytest.raises(StepFailed, match=r"not restarted: it is not so that .* is absent"):
        RESTART.apply(again(machine, LOST, deadline=60.0), machine)
    fake.kernel.set_unit("lightdm.service", active_state="inactive")
    with pytest.raises(StepFailed, match="not restarted: it is inactive"):
        RESTART.apply(again(machine, deadline=60.0), machine)
    assert not [call for call in fake.kernel.calls() if "restart" in call["argv"]]


def test_a_unit_is_not_restarted_under_somebody_who_has_logged_in(greeter):
    fake, machine = greeter
    lose_the_card(fake)
    fake.kernel.add_session(FakeSession("7", "alice", 1000, leader=fake.kernel.add_process(FakeProcess("sway"))))
    with pytest.raises(StepFailed, match="not restarted: alice is logged in on seat0"):
        RESTART.apply(again(machine), machine)


def test_a_restart_with_a_condition_that_is_none_blocks_the_plan(greeter):
    _, machine = greeter
    params = {**DM, "unless": DRAWN, "once": [{"kind": "path.soon", "args": {}}]}
    proposal = StepProposal("x", "unit.restart", params, "a test")
    assert [finding.code for finding in RESTART.check(proposal, machine.host())] == ["condition.unknown"]


def test_a_stop_in_passing_is_held_by_nobody_and_its_start_is_not_taken_back(desktop):
    fake, machine = desktop
    passing = {**DM, "passing": True}
    stop, start = planned(machine, "unit.stop", passing), planned(machine, "unit.start", passing)
    assert (stop.resource, start.resource) == ("", "")
    assert stop.touches == start.touches == ("unit:lightdm.service",)
    STOP.apply(stop, machine)
    START.apply(start, machine)
    assert "ran before" in START.undo(start, machine)
    assert active(fake, "system/lightdm.service")
    assert STOP.probe(stop, machine) is START.probe(start, machine) is State.BEFORE
    assert START.render_undo(start, machine.paths) == ()
    assert STOP.render_undo(stop, machine.paths)
