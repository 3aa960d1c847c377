"""Past hand-offs, or one and where its time went."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from vfioctl.actions.lookup import must_be_known, record_id
from vfioctl.operations import UNNAMED
from vfioctl.result import Message, Result
from vfioctl.txn.history import read, read_all

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.txn.history import Records, Run


def history(call: Call, hand_off: str | None = None, guest: str | None = None, limit: int = 20) -> Result:
    """The hand-off whose id begins with `hand_off` ("last": the newest), else the newest `limit`, of `guest` only.

    Raises Refused: "history.unknown", "guest.unknown".
    """
    paths = call.composition.paths
    try:
        if hand_off:
            return Result(data={"hand_off": _row(read(paths, record_id(paths, hand_off)))})
        records = read_all(paths)
    except PermissionError:
        return Result(data={"hand_offs": []}, messages=(_hidden(),))
    if guest is not None:
        must_be_known(paths, guest)
    chosen = [item for item in records.runs if guest is None or item.guest in (guest, f"guest:{guest}")][:limit]
    return Result(data={"hand_offs": [_row(item) for item in chosen]}, messages=_damaged(records))


def _row(item: Run) -> dict[str, Any]:
    return {**asdict(item), "operation": item.operation or UNNAMED, "outcome": item.outcome}


def _hidden() -> Message:

    return Message("The history could not be read without root.", "warning", "history.unreadable")


def _damaged(records: Records) -> tuple[Message, ...]:

    said = (f"The record {name} cannot be read." for name in records.damaged)
    return tuple(Message(text, "warning", "history.damaged") for text in said)
