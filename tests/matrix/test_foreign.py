"""What somebody else makes under the name of a step stays, byte for byte; what the step made is gone.

The foreign thing appears between the plan and the step; then the start fails or is killed, perhaps by a power cut.
"""

from __future__ import annotations

import os
import signal

import pytest
from authorship import BYTES, MAKING, leave_foreign, made_by
from faults import repair, unbind_or_probe
from hand_offs import BY_NAME, GPU, stage
from recoveries import as_before, recover
from walks import walk

from vfioctl.testing.crash import paused

pytestmark = pytest.mark.matrix

SNAPSHOT = BY_NAME["snapshot"]
STRIDES = [stride for stride in walk(SNAPSHOT).there if stride.kind in MAKING]
AT_ONCE, NEXT, LATER = "killed at its intent", "killed after one more record", "killed after three more records"
FAILS = "a later step fails"

each = pytest.mark.parametrize("stride", STRIDES, ids=lambda stride: stride.kind)


@pytest.fixture
def on(tmp_path):
    with stage(SNAPSHOT, tmp_path) as one:
        yield one


def end_as(on, end: str) -> None:
    """What the paused hook meets when it goes on."""
    match end:
        case "killed at its intent":
            os.kill(paused(on.root), signal.SIGKILL)
        case "killed after one more record":
            on.crash_at(1)
        case "killed after three more records":
            on.crash_at(3)
        case _:
            bind = on.story().plan.steps[-1]
            on.host.kernel.fail_write(unbind_or_probe(on, bind), value=GPU)


@each
@pytest.mark.parametrize("power_cut", [False, True], ids=["same boot", "power cut"])
@pytest.mark.parametrize("end", [AT_ONCE, NEXT, LATER, FAILS])
def test_what_is_foreign_stays_and_what_we_made_is_gone(on, stride, end, power_cut):
    on.pause_at(stride.intent)
    with on.paused_hook("prepare") as hook:
        plan = on.story().plan
        foreign = leave_foreign(on, plan.step(stride.step))
        end_as(on, end)
    ended = hook.wait()
    assert ended.status > 0 if end == FAILS else ended.status == -signal.SIGKILL
    on.crash_at(None)
    if power_cut:
        on.host.reboot()
    repair(on)
    recover(on)
    recover(on)
    assert on.look()[foreign] in (BYTES, "there")
    assert made_by(on, plan.id) == ()
    as_before(on, foreign)


@each
def test_what_is_foreign_is_named_with_the_command_that_removes_it(on, stride):
    on.pause_at(stride.intent)
    with on.paused_hook("prepare") as hook:
        step = on.story().plan.step(stride.step)
        leave_foreign(on, step)
        end_as(on, AT_ONCE)
    hook.wait()
    ended = on.command("recover")
    command = {"file.copy": "rm -- ", "disk.snapshot": "qemu-img snapshot -d "}[step.kind]
    assert command in ended.stdout
    assert on.story() is None


def test_what_a_start_makes_bears_its_id_and_is_kept_by_a_success(on):
    assert on.start().status == 0
    operation = on.story().plan.id
    assert len(made_by(on, operation)) == len(MAKING)
    on.stop()
    assert len(made_by(on, operation)) == len(MAKING)
