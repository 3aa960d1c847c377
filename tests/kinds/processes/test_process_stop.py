"""process.stop on real processes."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from step_builders import planned

from vfioctl.errors import StepFailed
from vfioctl.host.processes import comm, start_time
from vfioctl.kinds.processes.process_stop import KIND
from vfioctl.txn.step import State, StepProposal

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def start():
    children = []

    def run(*argv):
        child = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        children.append(child)
        return child

    yield run
    for child in children:
        child.kill()
        child.communicate()


def stop(machine, pid, **changes):
    params = {"pid": pid, "start_time": start_time(machine.paths, pid), "comm": comm(machine.paths, pid)}
    return planned(machine, "process.stop", {**params, **changes.pop("params", {})}, **changes)


def test_a_process_is_ended_and_cannot_be_brought_back(plain, start):
    child = start("sleep", "60")
    step = stop(plain, child.pid)
    assert KIND.probe(step, plain) is State.BEFORE
    assert KIND.apply(step, plain) is None
    assert KIND.probe(step, plain) is State.AFTER
    assert "cannot be brought back" in KIND.undo(step, plain)
    assert "has ended already" in KIND.apply(step, plain)


def test_a_process_that_ignores_sigterm_is_killed_within_the_deadline(plain, start):
    child = start(sys.executable, "-c", STUBBORN)
    child.stdout.readline()
    began = time.monotonic()
    assert KIND.apply(stop(plain, child.pid, deadline=1.0), plain) is None
    assert 0.5 < time.monotonic() - began < 1.5


def test_another_process_with_the_same_pid_is_left_alone(plain, start):
    child = start("sleep", "60")
    step = stop(plain, child.pid, params={"start_time": 1})
    assert "has ended already" in KIND.apply(step, plain)
    assert child.poll() is None


def test_pid_1_and_logind_are_never_ended(plain):
    for pid, name in ((1, "systemd"), (700, "systemd-logind")):
        proposal = StepProposal("x", "process.stop", {"pid": pid, "start_time": 1, "comm": name}, "a test")
        assert [f.code for f in KIND.check(proposal, plain.host())] == ["process.untouchable"]
    with pytest.raises(StepFailed, match="never ended"):
        KIND.guard(stop(plain, 1), plain)
