"""Every step of every scenario fails once, there and back, in every way that its kind can.

The engine stands before the step while the fault is injected, so exactly that step meets it.
"""

from __future__ import annotations

import signal
import time

import pytest
from authorship import BYTES
from faults import each_fault_back, each_fault_of_an_undo, each_fault_there, is_overcome, repair, unbind_or_probe
from hand_offs import stage
from recoveries import as_before, recover
from walks import walk

from vfioctl.txn.plan import Action
from vfioctl.txn.step import Undo

pytestmark = pytest.mark.matrix

# While the card was away what holds it came back without it, and has it after its next start only. The display manager
# is restarted.
CAME_BACK_WITHOUT_CARD = ("process nvidia-persistenced /system.slice/*",)
# A write that hung may land when the new X server has opened the card: the kernel numbers the next one anew.
RENUMBERED = ("sys/*/drm/*", "sys/class/drm*", "sys/*card[0-9]*", "dev/dri/*", "process Xorg *")
ANSWER_SECONDS = 10.0  # on a busy test machine
QUICK = "[deadlines]\nprepare = 4\nundo = 8\nrelease = 4\nfinish = 6\n"
QUICK_BACK = "[deadlines]\nrelease = 6\nfinish = 8\n"


def case(value) -> str:
    return str(getattr(value, "name", getattr(value, "step", value)))


EACH_THERE = tuple(each_fault_there())
AT_ONCE = tuple(one for one in EACH_THERE if not one[-1].is_slow)
there_at_once = pytest.mark.parametrize(("scenario", "stride", "fault"), AT_ONCE, ids=case)
there = pytest.mark.parametrize(("scenario", "stride", "fault"), EACH_THERE, ids=case)
undo_too = pytest.mark.parametrize(("scenario", "stride", "fault"), tuple(each_fault_of_an_undo()), ids=case)
back = pytest.mark.parametrize(("scenario", "stride", "fault"), tuple(each_fault_back()), ids=case)


@pytest.fixture
def on(scenario, fault, tmp_path):
    with stage(scenario, tmp_path) as one:
        limits = QUICK if fault.is_slow or fault.lasts else QUICK_BACK  # nobody waits here as long as on a real host
        top, tables = ("", scenario.settings) if scenario.settings.startswith("[") else (scenario.settings, "")
        one.set_guest_file(top + limits + tables)
        yield one


@there
def test_a_step_that_fails_ends_in_one_sentence_and_everything_undone(on, stride, fault):
    on.pause_at(stride.intent)
    with on.paused_hook("prepare") as hook:
        plan = on.story().plan
        step = plan.step(stride.step)
        fault.inject(on, step)
    ended = hook.wait()
    if step.best_effort and ended.status == 0:
        assert step.id in ended.stderr or is_overcome(step, fault)
        repair(on)
        on.stop()
        as_before(on, *on.scenario.kept)
        return
    if step.best_effort:  # what it was to bring about was needed by a later step, or its time was
        assert "win11 was not started: " in ended.stderr
        repair(on)
        if fault.lasts:  # the undo of the others needed the same program
            assert on.command("recover").returncode == 0
        as_before(on)
        return
    if ended.status == 0 and is_overcome(step, fault):
        repair(on)
        on.stop()
        as_before(on, *on.scenario.kept)
        return
    assert ended.status > 0, ended.stderr
    sentence = ended.stderr.splitlines()[-1]
    assert sentence.startswith(f"vfioctl: win11 was not started: {step.id} on {step.resource} failed: ")
    device = step.params.get("address", "")
    assert device in sentence
    if fault.is_stuck:
        assert_nothing_touches_what_is_stuck(on)
    as_undone(on, plan, stride, fault, sentence)


@there_at_once
def test_a_power_cut_in_the_middle_of_the_undo_leaves_nothing_of_ours_and_all_that_is_not(on, stride, fault):
    """The step has failed or was refused, and the next record of the journal is the last."""
    on.pause_at(stride.intent)
    with on.paused_hook("prepare") as hook:
        step = on.story().plan.step(stride.step)
        fault.inject(on, step)
        on.crash_at(1)
    ended = hook.wait()
    on.crash_at(None)
    if step.best_effort and ended.status == 0:  # a warning, and the last step: nothing was left to write
        repair(on)
        on.stop()
        as_before(on, *on.scenario.kept)
        return
    assert ended.status == -signal.SIGKILL
    on.host.reboot()
    repair(on)
    recover(on)
    as_before(on, *stays(on, fault, step))


def stays(on, fault, step) -> tuple[str, ...]:
    """What somebody else has made, as it is called among the differences: it is there as they made it."""
    if not fault.foreign:
        return ()
    name = f"file {step.params['dest'].lstrip('/')}"
    assert on.look()[name] == BYTES
    return (name,)


def as_undone(on, plan, stride, fault, sentence) -> None:
    """Everything was put back, or the sentence says that not, and `recover` does the rest."""
    open_still = on.story() is not None
    assert ("Not everything could be put back: " in sentence) == open_still
    assert ("Finish it with: vfioctl recover" in sentence) == open_still
    assert open_still or "Everything was put back." in sentence or session_ended(plan, stride)
    assert not open_still or fault.is_stuck or fault.lasts
    repair(on)
    if open_still:
        on.wait_until_unstuck()
        recover(on)
    without_card = CAME_BACK_WITHOUT_CARD if open_still else ()
    as_before(on, *without_card, *(RENUMBERED if fault.is_stuck else ()), *stays(on, fault, plan.step(stride.step)))
    assert servers(on.look()) == servers(on.before)


def servers(seen) -> set[str]:
    """The X servers that have a card which is there."""
    held = {name: value for name, value in seen.items() if name.startswith("process Xorg ")}
    return {name for name, value in held.items() if "/dev/dri/card" in value and "(deleted)" not in value}


def session_ended(plan, stride) -> bool:
    """The step of no return was reached."""
    begun = plan.steps[: stride.number]
    return any(step.kind == "session.end" and step.undo is Undo.NONE for step in begun)


def assert_nothing_touches_what_is_stuck(on) -> None:
    """`status` and `gpu list` answer soon, and neither they nor the undo wrote to the device."""
    waiting = [write for write in on.host.kernel.writes() if write["result"] == "waiting"]
    for command in (("status",), ("gpu", "list")):
        started = time.monotonic()
        ended = on.command(*command)
        assert ended.returncode in (0, 1), ended.stderr
        assert "Traceback" not in ended.stderr
        assert time.monotonic() - started < ANSWER_SECONDS
    for stuck in waiting:
        device = on.device_of(stuck)
        writes = on.host.kernel.writes()
        later = writes[writes.index(stuck) + 1 :]
        assert [write for write in later if device and on.device_of(write) == device] == []


@back
def test_a_return_that_fails_keeps_libvirt_going_and_recover_finishes_it(on, stride, fault):
    assert on.start().status == 0
    on.guest_ends()
    on.pause_at(stride.intent)
    with on.paused_hook("release") as hook:
        fault.inject(on, on.story().plan.step(stride.step))
    assert hook.wait().status == 0
    assert on.wait_for_rest()
    if fault.is_stuck:
        assert_nothing_touches_what_is_stuck(on)
    repair(on)
    on.wait_until_unstuck()
    open_still = on.story() is not None
    if open_still:
        assert not on.last()["ok"]
        recover(on)
    as_before(on, *on.scenario.kept, *(CAME_BACK_WITHOUT_CARD if open_still else ()))


def needs_card(step) -> bool:
    """A container is not started without the devices that it was made with."""
    return bool(step.kind == "container.stop")


@undo_too
def test_when_an_undo_fails_as_well_the_rest_is_undone_and_the_sentence_says_what_is_left(on, stride, fault):
    """The last step fails, and on the way back `stride`: it stays, with what needs its device, until `recover`."""
    on.pause_at(walk(on.scenario).there[-1].intent)
    with on.paused_hook("prepare") as hook:
        plan = on.story().plan
        last, other = plan.steps[-1], plan.step(stride.step)
        on.host.kernel.fail_write(unbind_or_probe(on, last), value=last.params["address"])
        fault.inject(on, other)
    ended = hook.wait()
    assert ended.status > 0
    sentence = ended.stderr.splitlines()[-1]
    assert f"{last.id} on {last.resource} failed: " in sentence
    assert f"{other.id}: " in sentence.partition("Not everything could be put back: ")[2]
    assert "Finish it with: vfioctl recover" in sentence
    undone = on.story().finished(Action.UNDO)
    assert other.id not in undone
    assert undone >= {step.id for step in plan.steps if not named(step) & named(other) and not needs_card(step)}
    repair(on)
    recover(on)
    as_before(on, *(CAME_BACK_WITHOUT_CARD if stride.kind in ("driver.bind", "module.unload") else ()))


def named(step) -> set[str]:
    return {step.resource, *step.touches} - {""}
