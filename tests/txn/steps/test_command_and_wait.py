"""command.run and wait.until on plain files."""

from __future__ import annotations

import os
import threading

import pytest
from step_builders import planned, program, put

from vfioctl.errors import DeadlineExceeded, StepFailed
from vfioctl.txn.step import State, StepProposal
from vfioctl.txn.steps.command_run import KIND as COMMAND
from vfioctl.txn.steps.wait_until import KIND as WAIT

EXISTS = {"condition": {"kind": "path.exists", "args": {"path": "/sys/card0"}}}


def test_a_command_runs_and_its_undo_command_runs_on_the_way_back(plain):
    program(plain, "mark", f'printf "%s;" "$@" >>{plain.paths.at("run/said")}')
    step = planned(plain, "command.run", {"argv": ["mark", "a b"], "undo_argv": ["/usr/bin/mark", "$c"]})
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


def test_a_command_without_an_undo_says_so(plain):
    step = planned(plain, "command.run", {"argv": ["mark"]})
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
