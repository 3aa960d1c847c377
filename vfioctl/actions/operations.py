"""What is open, of any operation: listed, shown, followed, cancelled. `history` has what has ended.

Root sees the host's operations; somebody else their own, which lie in their own directory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vfioctl.actions.caller import NOTHING_CHANGED
from vfioctl.actions.errors import Interrupted
from vfioctl.actions.facts import running
from vfioctl.actions.moments import Told
from vfioctl.actions.states import has_own, node_of
from vfioctl.errors import EXIT_FAILED, Refused, VfioctlError
from vfioctl.frozen import asdict
from vfioctl.result import Error, Message, Result
from vfioctl.signals import Terminated
from vfioctl.txn import history
from vfioctl.txn.follow import Follower, progress
from vfioctl.txn.journal import Standing, Story, open_uuids, read_both
from vfioctl.txn.kind import kind
from vfioctl.txn.plan import Action
from vfioctl.txn.recover import QUEUED_SECONDS, drop, is_expected
from vfioctl.txn.runner import name_of
from vfioctl.unknown import no_such
from vfioctl.wait import Backoff, until

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.compose import Composition
    from vfioctl.paths import Paths
    from vfioctl.txn.journal import Moment
    from vfioctl.txn.plan import Plan
    from vfioctl.txn.step import Step

LOOK = 0.1  # seconds between two looks at a journal that is followed
LONGEST_FOLLOW = 7 * 24 * 3600.0
AGAIN_SECONDS = 3.0  # in which a second ^C asks to cancel
CANCEL_SECONDS = 10.0
NONE_SEEN = "Only root sees the operations of the host, and this process has none of its caller."
SHORTEST = 4  # characters of a key that may stand for it


def listed(call: Call) -> Result:
    """Every open operation of this caller: what it is, how far it is, and the process that works on it."""
    if not call.administers and not has_own(call):
        return Result(data={"operations": []}).saying(Message(NONE_SEEN))
    paths, errors = node_of(call).paths, []
    rows = []
    for key in _open(paths):
        try:
            story = read_both(paths, key)
        except VfioctlError as error:
            errors.append(Error(error.code, error.message, error.state, error.hints))
            continue
        rows += [row(paths, story)] if story else []
    result = Result(data={"operations": rows}, errors=tuple(errors), exit_status=1 if errors else 0)
    return result if call.administers else result.saying(
        Message("Only your own operations are listed; root sees those of the host.")
    )


def shown(call: Call, word: str) -> Result:
    """One open operation with each of its steps. Raises Refused("operation.unknown")."""
    paths = node_of(call).paths
    story = _story(paths, word)
    return Result(data={"operation": {**row(paths, story), "steps": _steps(story)}})


def cancelled(call: Call, word: str) -> Result:
    """Ask the process of an operation to stop; it undoes its work. Raises Refused where that cannot be."""
    from vfioctl.actions import worker as workers

    node = node_of(call)
    story = _story(node.paths, word)
    _may_be_cancelled(story)
    key, name = story.plan.key, name_of(story.plan)
    if story.standing is Standing.QUEUED and _dropped(node, key):
        return Result(data={"key": key, "ended": True}).saying(Message(f"{name} had not begun; it is dropped."))
    worker = workers.of(node.paths, key)
    if worker is None:
        raise Refused(
            "operation.alone", f"No process works on {name}: it was interrupted.", state="Nothing was changed.",
            hints=("End it with: vfioctl recover",),
        )  # fmt: skip
    try:
        worker.ask()
        until(lambda: worker.has_ended() or read_both(node.paths, key) is None, CANCEL_SECONDS)
    finally:
        worker.close()
    return _what_became(node, key, name)


def _what_became(node: Composition, key: str, name: str) -> Result:
    """What there is of an operation whose process was asked to stop, whether it did, was killed, or is still at it."""
    paths = node.paths
    if (now := read_both(paths, key)) is None:
        record = history.find(paths, key)
        text = record.message if record and record.ok else f"{name} was cancelled."
        text = text if name in text else f"{name} has ended: {text}."
        return Result(data={"key": key, "ended": True}).saying(Message(text))
    if not _goes_on(node, key):
        return still_open(now, paths)
    said = Message(f"{name} is asked to stop; it comes to the end of its step first.",
                   hint=f"See how far it is with: vfioctl operation follow {key}")  # fmt: skip
    return Result(data={"key": key, "ended": False}).saying(said)


def followed(call: Call, word: str) -> Result:
    """Tell what an operation does until it has ended. ^C leaves it running; a second one asks to cancel it."""
    node = node_of(call)
    return follow(call, node, _story(node.paths, word).plan)


def follow(call: Call, node: Composition, plan: Plan) -> Result:
    """The same for the operation of `plan`, which may have ended by now."""
    key, name = plan.key, name_of(plan)
    follower = Follower(node.paths, key)
    try:
        _follow(call, follower, node, key)
    except Terminated:
        raise _goes_on_alone(key, name) from None
    except KeyboardInterrupt:
        return _interrupted(call, key, name)
    finally:
        follower.close()
    return _how_it_ended(node, plan)


def _follow(call: Call, follower: Follower, node: Composition, key: str) -> None:
    """What is written after the last look at its process is told as well: the look comes first."""
    told = Told(call.caller)
    for _ in Backoff(LONGEST_FOLLOW, first=LOOK, longest=LOOK):
        goes_on = _goes_on(node, key)
        for said in follower.look():
            told(said)
        if told.fault:
            raise told.fault
        if not goes_on:
            return


def _goes_on(node: Composition, key: str) -> bool:
    """Whether a process works on it, or is about to."""
    if any(item.uuid == key for item in running(node.paths)):
        return True
    story = read_both(node.paths, key)
    return story is not None and story.standing is Standing.QUEUED and is_expected(node, story)


def _interrupted(call: Call, key: str, name: str) -> Result:
    """The first ^C only ends the following; a second one soon after it asks to cancel."""
    try:
        call.caller.tell(f"{name} goes on; ^C once more within {AGAIN_SECONDS:g} s asks to cancel it.")
        until(lambda: False, AGAIN_SECONDS)
    except Terminated:
        raise _goes_on_alone(key, name) from None
    except KeyboardInterrupt:
        return cancelled(call, key)
    raise _goes_on_alone(key, name)


def _goes_on_alone(key: str, name: str) -> Interrupted:
    return Interrupted(f"Interrupted. {name} goes on; follow it with: vfioctl operation follow {key}")


def _how_it_ended(node: Composition, plan: Plan) -> Result:
    """What the history says of the operation of `plan`, which no process works on any more."""
    paths, key, name = node.paths, plan.key, name_of(plan)
    now = read_both(paths, key)
    if now is not None and now.standing is Standing.QUEUED and _dropped(node, key):
        return _never_began(key, name)
    if now is not None:
        return still_open(now, paths)
    record = history.find(paths, key)
    data = {"key": key, "ended": True, "record": record.id if record else None, "ok": record.ok if record else None}
    if record is None or record.ok:
        return Result(data=data).saying(Message(f"{name} has ended: {record.message if record else 'no record'}."))
    error = Error(record.code, record.message, record.state, record.hints)
    return Result(data=data, errors=(error,), exit_status=record.exit_status or EXIT_FAILED)


def _never_began(key: str, name: str) -> Result:
    """What is said of one whose process did not come; why, only that process may have said."""
    error = Error(
        "operation.not_begun", f"{name} was dropped: no process had begun it after {QUEUED_SECONDS:g} s.",
        NOTHING_CHANGED, (f"See what it said with: journalctl -u vfioctl-run-{key}",),
    )  # fmt: skip
    return Result(data={"key": key, "ended": True, "record": None, "ok": None}, errors=(error,), exit_status=1)


def still_open(story: Story, paths: Paths) -> Result:
    """What is said of one whose process has ended, and which may have another one by now."""
    data = {"key": story.plan.key, "ended": False, "record": None, "ok": None}
    shown = row(paths, story)
    if shown["process"]:
        said = f"{name_of(story.plan)} is at work again, as process {shown['process']}."
        return Result(data=data).saying(Message(said))
    if story.standing is Standing.QUEUED:
        return Result(data=data).saying(Message(f"{name_of(story.plan)} has not begun yet."))
    if not shown["unfinished"]:
        return Result(data=data).saying(Message(f"{name_of(story.plan)} has done its work, and is held open."))
    error = Error(
        "operation.alone", f"No process works on {name_of(story.plan)} any more: it was interrupted.",
        "Its journal is kept.", ("End it with: vfioctl recover",),
    )  # fmt: skip
    return Result(data=data, errors=(error,), exit_status=1)


def _may_be_cancelled(story: Story) -> None:
    """Raise Refused where cancelling could not bring back what was."""
    plan, name = story.plan, name_of(story.plan)
    begun = set(story.begun(Action.APPLY))
    why, hint = "", "See how far it is with: vfioctl status"
    if story.standing in (Standing.UNDOING, Standing.RETURNING):
        why = f"it is being undone already (it stands at {story.standing})"
    elif story.standing is Standing.HELD:
        why, hint = "it has done its work", "See: vfioctl status"
    elif plan.point_of_no_return in begun:
        why = f"its step {plan.point_of_no_return} cannot be taken back, so it goes on to its end"
    if why:
        raise Refused("operation.too_late", f"{name} is not cancelled: {why}.", state="Nothing was changed.",
                      hints=(hint,))  # fmt: skip


def _dropped(node: Composition, key: str) -> bool:
    """Whether an operation that waits for its process is gone now; not where that has begun at this moment."""
    try:
        drop(node, key)
    except VfioctlError:
        return False
    return True


def _open(paths: Paths) -> tuple[str, ...]:
    try:
        return open_uuids(paths)
    except PermissionError:
        return ()


def _story(paths: Paths, word: str) -> Story:
    """The open operation that `word` names: its key, the beginning of that, or its subject."""
    stories = [story for key in _open(paths) if (story := _readable(paths, key))]
    found = [one for one in stories if word in (one.plan.key, one.plan.subject)]
    if not found and len(word) >= SHORTEST:
        found = [one for one in stories if one.plan.key.startswith(word)]
    if len(found) == 1:
        return found[0]
    message = f"{word!r} names {len(found)} open operations" if found else f"There is no open operation {word!r}"
    refused = no_such("operation.unknown", message, word, (one.plan.key for one in found or stories), "Open are")
    refused.hints = (*refused.hints, "What has ended is listed by: vfioctl history")
    raise refused


def _readable(paths: Paths, key: str) -> Story | None:
    try:
        return read_both(paths, key)
    except VfioctlError:
        return None


def row(paths: Paths, story: Story) -> dict[str, Any]:
    """One open operation as it is shown."""
    process = next((item.pid for item in running(paths) if item.uuid == story.plan.key), None)
    long_step = progress(paths.boot_journal(story.plan.key)) if process else None
    settled = story.standing in (Standing.HELD, Standing.QUEUED)
    return {
        "key": story.plan.key, "operation": story.plan.operation, "subject": story.plan.subject,
        "standing": str(story.standing), "since": story.started, "process": process,
        "unfinished": process is None and not settled, "without_process": str(story.plan.unfinished),
        "progress": _progress(long_step),
    }  # fmt: skip


def _progress(moment: Moment | None) -> dict[str, Any] | None:
    if moment is None:
        return None
    known = asdict(moment)
    return {name: known[name] for name in ("step", "done", "total", "unit")}


def _steps(story: Story) -> list[dict[str, Any]]:
    begun, done, undone = story.begun(Action.APPLY), story.finished(Action.APPLY), story.finished(Action.UNDO)
    return [
        {
            **step_row(step),
            "state": "undone" if step.id in undone else "done" if step.id in done
            else "begun" if step.id in begun else "open",
        }
        for step in story.plan.all_steps()
    ]  # fmt: skip


def step_row(step: Step) -> dict[str, Any]:
    """One step of a plan as it is shown."""
    undo = str(kind(step.kind).undo_of(step.params))
    return {"id": step.id, "kind": step.kind, "resource": step.resource, "reason": step.reason, "undo": undo}
