"""command.run and wait.until, on plain files and on a simulated desktop."""

from __future__ import annotations

import os
import threading

import pytest
from step_builders import GPU, planned, program, put

from vfioctl.errors import DeadlineExceeded, StepFailed, StepRefused
from vfioctl.kinds import conditions
from vfioctl.kinds.command_run import KIND as COMMAND
from vfioctl.kinds.wait_until import KIND as WAIT
from vfioctl.testing.model import FakeProcess
from vfioctl.txn.step import Condition, State, StepProposal, Undo

EXISTS = {"condition": {"kind": "path.exists", "args": {"path": "/sys/card0"}}}


def test_a_command_runs_and_its_undo_command_runs_on_the_way_back(plain):
    program(plain, "mark", f'printf "%s;" "$@" >>{plain.paths.at("run/said")}')
    step = planned(plain, "command.run", {"argv": ["mark", "a b"], "undo_argv": ["/usr/bin/mark", "$c"]})
    assert step.undo is Undo.RECREATED
    assert COMMAND.apply(step, plain) is None
    assert COMMAND.probe(step, plain) is State.BETWEEN
    assert COMMAND.undo(step, plain) is None
    with open(plain.paths.at("run/said"), encoding="utf-8") as file:
        assert file.read() == "a b;$c;"


def test_a_failing_command_says_what_it_said(plain):
    program(plain, "mark", "echo no such thing >&2; exit 4")
    with pytest.raises(StepFailed, match="status 4: no such thing") as caught:
        COMMAND.apply(planned(plain, "command.run", {"argv": ["mark"]}), plain)
    assert caught.value.code == "command.failed"


@pytest.mark.parametrize(("mode", "code"), [(None, "program.missing"), (0o755, "program.unusable")])
def test_a_command_that_could_not_be_started_has_changed_nothing(plain, mode, code):
    if mode:
        os.chmod(put(plain.paths.at("usr/bin/mark"), "no program"), mode)
    with pytest.raises(StepRefused) as caught:
        COMMAND.apply(planned(plain, "command.run", {"argv": ["mark"]}), plain)
    assert caught.value.code == code


def test_a_command_without_an_undo_says_so(plain):
    step = planned(plain, "command.run", {"argv": ["mark"]})
    assert step.undo is Undo.NONE
    assert COMMAND.undo(step, plain) == "it has no undo command"
    assert COMMAND.render_undo(step, plain.paths) == ()


def test_a_command_has_a_deadline(plain):
    program(plain, "mark", "exec /bin/sleep 60")
    with pytest.raises(DeadlineExceeded):
        COMMAND.apply(planned(plain, "command.run", {"argv": ["mark"]}, deadline=0.2), plain)


def test_a_program_that_is_not_there_is_found_by_the_check(plain):
    proposal = StepProposal("x", "command.run", {"argv": ["nowhere"]}, "a test")
    assert [f.code for f in COMMAND.check(proposal, plain.host())] == ["program.missing"]


def test_a_wait_ends_when_its_condition_comes_true(plain):
    step = planned(plain, "wait.until", EXISTS)
    assert WAIT.probe(step, plain) is State.BEFORE
    threading.Timer(0.1, put, (plain.paths.at("sys/card0"), "")).start()
    assert WAIT.apply(step, plain) is None
    assert WAIT.probe(step, plain) is State.AFTER


def test_a_wait_for_what_is_already_so_says_so(plain):
    put(plain.paths.at("sys/card0"), "")
    assert WAIT.apply(planned(plain, "wait.until", EXISTS), plain) == "/sys/card0 exists already"


def test_a_wait_in_vain_tells_what_was_there_instead(plain):
    os.symlink("../drivers/amdgpu", plain.paths.at("sys/driver"))
    condition = {"kind": "link.target", "args": {"path": "/sys/driver", "name": "vfio-pci"}}
    step = planned(plain, "wait.until", {"condition": condition}, deadline=0.05)
    with pytest.raises(DeadlineExceeded, match=r"/sys/driver points to vfio-pci\. It points to amdgpu\."):
        WAIT.apply(step, plain)


def test_an_unknown_condition_is_found_by_the_check(plain):
    params = {"condition": {"kind": "moon.full", "args": {}}}
    proposal = StepProposal("x", "wait.until", params, "a test")
    assert [f.code for f in WAIT.check(proposal, plain.host())] == ["condition.unknown"]


def holds(machine, kind, **args):
    return conditions.evaluate(Condition(kind, args), machine)


def test_a_wait_for_no_holders_names_those_that_stay(desktop):
    _, machine = desktop
    condition = {"kind": "no.holders", "args": {"addresses": [GPU]}}
    step = planned(machine, "wait.until", {"condition": condition}, deadline=0.1)
    with pytest.raises(DeadlineExceeded, match=r"nobody holds 0000:01:00\.0\. Held by .*Xorg \(pid \d+\)"):
        WAIT.apply(step, machine)


def test_holders_units_sessions_and_processes_are_looked_at_anew_each_time(desktop):
    _, machine = desktop
    session = next(s.id for s in machine.host().sessions() if s.user == "alice")
    xorg = next(h for h in machine.host().holders((GPU,)) if h.comm == "Xorg")
    assert holds(machine, "has.holder", addresses=[GPU])
    assert not holds(machine, "no.holders", addresses=[GPU])
    assert not holds(machine, "session.gone", session=session)
    assert not holds(machine, "process.gone", pid=xorg.pid, start_time=xorg.start_time)
    assert holds(machine, "unit.state", unit="lightdm.service", state="active")
    machine.programs.run(("systemctl", "stop", "lightdm.service"), deadline=5)
    machine.programs.run(("loginctl", "terminate-session", session), deadline=5)
    assert holds(machine, "no.holders", addresses=[GPU])
    assert not holds(machine, "has.holder", addresses=[GPU])
    assert holds(machine, "session.gone", session=session)
    assert holds(machine, "process.gone", pid=xorg.pid, start_time=xorg.start_time)
    assert holds(machine, "unit.state", unit="lightdm.service", state="inactive")


def test_logind_is_no_holder_that_a_wait_waits_for(idle_card):
    fake, machine = idle_card
    fake.kernel.add_process(FakeProcess("systemd-logind", opens=("/dev/dri/card0",), unit="systemd-logind.service"))
    assert machine.host().holders((GPU,))
    assert holds(machine, "no.holders", addresses=[GPU])


def test_a_wrong_value_is_quoted_in_the_error(nic):
    _, machine = nic
    path = f"/sys/bus/pci/devices/{GPU}/d3cold_allowed"
    condition = {"kind": "path.equals", "args": {"path": path, "value": "0"}}
    with pytest.raises(DeadlineExceeded, match="It says '1'"):
        WAIT.apply(planned(machine, "wait.until", {"condition": condition}, deadline=0.05), machine)
