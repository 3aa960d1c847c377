"""Finishes what a crash, a kill or a power cut interrupted; what runs as it should is left alone."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from vfioctl.actions.abort import at_work, stop
from vfioctl.actions.errors import Misuse
from vfioctl.actions.live import teller
from vfioctl.actions.lookup import must_be_known
from vfioctl.actions.states import node_of
from vfioctl.errors import VfioctlError
from vfioctl.handoff import damaged, outcome
from vfioctl.handoff.in_use import is_in_use
from vfioctl.kinds.files import kept
from vfioctl.log import Log
from vfioctl.result import Error, Message, Result
from vfioctl.txn import blobs
from vfioctl.txn.clock import Stopwatch
from vfioctl.txn.journal import Standing, open_uuids, read_both
from vfioctl.txn.recover import settle as finish
from vfioctl.txn.shape import is_uuid

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.compose import Composition
    from vfioctl.paths import Paths


def unfinished(call: Call, guest: str | None, *, abort: bool = False) -> tuple[str, ...]:
    """The UUIDs to be looked at: everything open, or what is open of `guest`, a name or a UUID.

    Raises NotRoot, Misuse, Refused: "state.writable", "guest.unknown".
    """
    return _chosen(call, _node(call).paths, guest, abort=abort)


def _chosen(call: Call, paths: Paths, guest: str | None, *, abort: bool) -> tuple[str, ...]:
    chosen = [uuid for uuid in open_uuids(paths) if guest in (None, uuid, _name_of(paths, uuid))]
    chosen += [uuid for uuid in at_work(paths, guest) if abort and uuid not in chosen]
    if guest and not chosen and not is_uuid(guest):  # nothing is open of a UUID then
        must_be_known(paths, guest)
    if abort and not guest:
        raise Misuse(call.verb, "--abort needs the guest whose hand-off is to be stopped.")
    return tuple(chosen)


def _node(call: Call) -> Composition:
    """The host with what this caller may finish: root's, or what somebody else has open of their own."""
    node = node_of(call)
    if node is call.composition or not open_uuids(node.paths):
        call.need_trust()
        return call.composition
    return node


def may_act(call: Call, chosen: Iterable[str]) -> bool:
    """Whether there may be something to do: not every guest of `chosen` simply runs with its devices."""
    node = _node(call)
    return any(_is_open(node, uuid) for uuid in chosen)


def _is_open(node: Composition, uuid: str) -> bool:
    try:
        story = read_both(node.paths, uuid)
    except VfioctlError:
        return False  # it is only said
    return story is not None and not (story.standing is Standing.HELD and is_in_use(story, node.machine().host()))


def recover(call: Call, guest: str | None = None, *, abort: bool = False) -> Result:
    """Finish everything unfinished, or that of `guest`; with `abort` a hand-off that runs now is stopped first."""
    rows, errors, status = [], [], 0
    messages: list[Message] = []
    node = _node(call)
    for uuid in _chosen(call, node.paths, guest, abort=abort):
        messages += stop(node.paths, uuid) if abort else ()
        row, error, exit_status = _recover(call, node, uuid, abort=abort)
        rows.append(row)
        errors += [error] if error else []
        status = status or exit_status
    data = {"recovered": rows, "settled": _settle(node.paths, guest)}
    return Result(data=data, messages=tuple(messages), errors=tuple(errors), exit_status=status)


def _recover(call: Call, node: Composition, uuid: str, *, abort: bool) -> tuple[dict[str, Any], Error | None, int]:
    """Finish one; its steps are told as they end."""
    paths, watch = node.paths, Stopwatch(tell=teller(call.caller))
    row: dict[str, Any] = {"uuid": uuid, "guest": _name_of(paths, uuid)}
    try:
        said = finish(node, uuid, log=Log(paths, stderr=None), watch=watch, spare=not abort)
    except VfioctlError as error:
        whose = f"{row['guest']}: " if row["guest"] and row["guest"] not in error.message else ""
        shown = Error(error.code, f"{whose}{error.message}", error.state, error.hints)
        return {**row, "said": "", "ok": False, "steps": _steps(watch)}, shown, error.exit_status
    return {**row, "said": said, "ok": True, "steps": _steps(watch)}, None, 0


def _steps(watch: Stopwatch) -> list[dict[str, Any]]:
    return [{**asdict(time), "started_offset": time.started} for time in watch.times]


def _settle(paths: Paths, guest: str | None) -> list[str]:
    """The guests whose last failure has nothing open any more: `status` need not show it longer.

    Content that no journal names any more goes as well, and what is old of downloads.
    """
    with suppress(OSError):  # what cannot be removed now is for the next one
        blobs.sweep(paths)
        kept.sweep(paths.downloads)
    opened = open_uuids(paths)
    lasts = (last for last in outcome.read_lasts(paths) if guest in (None, last.guest, last.uuid))
    return [last.guest for last in lasts if last.uuid not in opened and outcome.settle(paths, last.guest)]


def _name_of(paths: Paths, uuid: str) -> str:
    """The guest's name in the journal of `uuid`; where that cannot be read what else tells it, or nothing."""
    try:
        story = read_both(paths, uuid)
    except VfioctlError:
        return damaged.guest_of(paths, uuid)
    return story.plan.subject if story else ""
