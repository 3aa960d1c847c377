"""Past hand-offs and other operations, or one and where its time went.

Root sees those of the host; somebody else their own beside them, which lie in their own directory.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from vfioctl.actions.lookup import must_be_known, record
from vfioctl.actions.states import places_of
from vfioctl.operations import UNNAMED
from vfioctl.result import Message, Result
from vfioctl.txn.history import Records, newest_first, read_all

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vfioctl.actions.caller import Call
    from vfioctl.paths import Paths
    from vfioctl.txn.history import Run


def history(call: Call, hand_off: str | None = None, guest: str | None = None, limit: int = 20) -> Result:
    """The hand-off whose id begins with `hand_off` ("last": the newest), else the newest `limit`, of `guest` only.

    Raises Refused: "history.unknown", "guest.unknown".
    """
    places = places_of(call)
    records, hidden = _records(places)
    if hand_off and (records.runs or not hidden):
        return Result(data={"hand_off": _row(record(places, hand_off, records.runs))})
    chosen = [item for item in records.runs if guest is None or item.guest in (guest, f"guest:{guest}")][:limit]
    if guest is not None and not chosen and not hidden:
        must_be_known(call.composition.paths, guest)
    return Result(data={"hand_offs": [_row(item) for item in chosen]}, messages=(*hidden, *_damaged(records)))


def _records(places: Iterable[Paths]) -> tuple[Records, tuple[Message, ...]]:
    """The records of all these places, and what to say where those of one may not be read."""
    found: list[Records] = []
    hidden: tuple[Message, ...] = ()
    for paths in places:
        try:
            found.append(read_all(paths))
        except PermissionError:
            hidden = (_hidden(),)
    runs = newest_first(run for one in found for run in one.runs)
    return Records(runs, tuple(name for one in found for name in one.damaged)), hidden


def _row(item: Run) -> dict[str, Any]:
    return {**asdict(item), "operation": item.operation or UNNAMED, "outcome": item.outcome}


def _hidden() -> Message:
    return Message("The history could not be read without root.", "warning", "history.unreadable")


def _damaged(records: Records) -> tuple[Message, ...]:
    said = (f"The record {name} cannot be read." for name in records.damaged)
    return tuple(Message(text, "warning", "history.damaged") for text in said)
