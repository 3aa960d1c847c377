"""Changes this host's own files on record, and takes them back: by one operation each. Knows no boot loader.

What was there before the first change of a file stays on record until it is taken back. A file that somebody else has
changed since is never written over: it is named, with the difference, and left.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from vfioctl.actions.host_change_looks import (
    before,
    conflict,
    edited,
    fate,
    is_made,
    lines,
    must_be_ours,
    must_be_writable,
    record_of,
)
from vfioctl.actions.host_change_steps import Work, making, restoring
from vfioctl.actions.perform import perform
from vfioctl.findings import Finding
from vfioctl.frozen import frozen, replace
from vfioctl.plugin.host_changes import Fate, HostChange, HostRecord, read_host_record
from vfioctl.plugin.operations import OperationRequest, Question
from vfioctl.result import Message, Result
from vfioctl.txn.plan import Unfinished

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call

RESTART = "It takes effect when this host is restarted."


@frozen
class Verb:
    """Who asks for it by which name, and what a person must agree to."""

    plugin: str
    name: str
    question: Question


def change(call: Call, wanted: HostChange, verb: Verb, *, dry_run: bool = False) -> Result:
    """Make the edits of `wanted` that are not made yet, as one operation; `data` has their `changes`.

    Raises NotRoot, and Refused with nothing touched: "change.edited" for a file that is not as it was left,
    "change.taken" for one of our name that somebody else has made, "change.read_only", and what `perform` raises.
    """
    record = record_of(call, wanted.record)
    edits = tuple(edit for edit in wanted.edits if not is_made(call.paths, edit))
    must_be_ours(call, record, edits, wanted.back)
    changes = [edited(call.paths, edit) for edit in edits]
    data = {"changes": changes, "restart": wanted.restart}
    if not edits:
        return _nothing(data)
    if not dry_run:
        call.need_root()
    elif not call.administers:
        return replace(_nothing(data), data={**_nothing(data).data, "dry_run": True})
    work = making(call.paths, record, wanted, edits)
    request = _request(verb, wanted.record, work, changes, wanted.findings)
    result = perform(call, request, dry_run=dry_run)
    return _said(result, data, f"Take it back with: {wanted.back}", restart=wanted.restart)


def take_back(
    call: Call, name: str, verb: Verb, *, dry_run: bool = False, leave_edited: bool = False,
    instead: HostRecord | None = None,
) -> Result:  # fmt: skip
    """Put every file on record under `name` back as it was: bytes, mode and owner; the record goes with it.

    `leave_edited` leaves what somebody else has changed since as it is, and forgets it. What is put back may
    be said `instead` of the record. Raises Refused as `change`.
    """
    call.need_root()
    record = instead or read_host_record(call.paths, name)
    fates = {one: fate(call.paths, one) for one in record.files}
    foreign = [one for one, how in fates.items() if how is Fate.EDITED]
    if foreign and not leave_edited:
        raise conflict(call, foreign, f"Or leave what was edited as it is: {call.again('--leave-edited')}")
    wanted = {one: how for one, how in fates.items() if how in (Fate.WRITTEN, Fate.GONE)}
    changes = [before(call.paths, one) for one in wanted]
    data = {"changes": changes, "restart": record.restart, "left": [one.path for one in foreign]}
    if not record.files:
        return _nothing(data)
    must_be_writable(call.paths, (one.path for one in wanted))
    work = restoring(call.paths, name, record, wanted)
    result = perform(call, _request(verb, name, work, changes, ()), dry_run=dry_run)
    return _said(result, data, "", restart=record.restart)


def _request(
    verb: Verb, record: str, work: Work, changes: Iterable[Mapping[str, Any]], findings: tuple[Finding, ...]
) -> OperationRequest:
    """What is asked says all that would differ."""
    question = replace(verb.question, lines=(*verb.question.lines, *lines(changes)))
    return OperationRequest(
        plugin=verb.plugin, operation=verb.name, subject=f"host:{record}", key=str(uuid.uuid4()),
        proposals=tuple(work.steps), unfinished=Unfinished.UNDO, contents=work.contents, findings=findings,
        question=question,
    )  # fmt: skip


def _nothing(data: Mapping[str, Any]) -> Result:
    return Result(data={"operation": None, "steps": [], "dry_run": False, **data})


def _said(result: Result, data: Mapping[str, Any], back: str, *, restart: bool) -> Result:
    result = replace(result, data={**result.data, **data})
    if result.exit_status or result.data["dry_run"]:
        return result
    told = [text for text, counts in ((RESTART, restart), (back, bool(back))) if counts]
    return result.saying(*(Message(text) for text in told))
