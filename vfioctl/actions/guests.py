"""The managed guests as rows: in which state each is, what it has or gets, how its last hand-off ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vfioctl.actions.firing import warnings
from vfioctl.actions.lacking import Looker
from vfioctl.actions.records import Records
from vfioctl.config.load import managed_guests
from vfioctl.host.guests import running
from vfioctl.result import Result, incomplete

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call


Row = Mapping[str, Any]
STARTING, RUNNING, RETURNING, UNFINISHED, OFF = "starting", "running", "returning", "unfinished", "off"
STANDINGS = {"applying": STARTING, "given": STARTING, "undoing": RETURNING, "returning": RETURNING}


def managed(call: Call) -> Result:
    """Every managed guest with its state, devices and last outcome."""
    records = Records(call.composition.paths, call.composition.machine().host())
    listed = rows(call, records, records.hand_offs(), records.outcomes())
    return incomplete({"guests": listed}, records.errors).saying(*records.messages(), *warnings(call))


def rows(call: Call, records: Records, hand_offs: Sequence[Row], lasts: Sequence[Row]) -> list[dict[str, Any]]:
    """One row for each guest that has a file or something open, by name."""
    processes, pins = running(records.paths), records.pins()
    opened = {item["guest"]: item for item in hand_offs}
    last = {item["guest"]: item for item in lasts}
    named = managed_guests(records.paths)
    looker = Looker(call, records.host)
    found = [
        (_row(name, opened.get(name), processes.get(name), pins.get(name, ())) | _hurt(records, name))
        | {"given": _given(opened.get(name), hidden=records.hidden), "managed": name in named, "last": last.get(name)}
        for name in sorted({*named, *opened, *filter(None, records.hurt)})
    ]
    return [{**row, "lacks": _lacks(looker, row)} for row in found]


def _lacks(looker: Looker, row: Row) -> list[dict[str, Any]] | None:
    """What one that is off lacks until it can start; None where that cannot be seen, or is not the question."""
    if row["state"] != OFF or not row["managed"]:
        return None
    return looker.rows(row["guest"])


def _hurt(records: Records, name: str) -> dict[str, Any]:
    """What else is so of a guest whose journal cannot be read: nobody finishes its hand-off."""
    return {"state": UNFINISHED, "has": list(records.hurt[name])} if name in records.hurt else {}


def _given(hand_off: Row | None, *, hidden: bool) -> bool | None:
    """Whether vfioctl has given the guest something; None where this user may not know."""
    return None if hidden else hand_off is not None


def _row(name: str, hand_off: Row | None, process: int | None, pinned: Sequence[str]) -> dict[str, Any]:
    if hand_off is None:
        state = RUNNING if process else OFF
        return {"guest": name, "state": state, "process": process, "since": None, "has": [], "gets": list(pinned)}
    return {
        "guest": name, "state": _state(hand_off), "process": hand_off["qemu"], "since": hand_off["since"],
        "has": list(hand_off["devices"]), "gets": list(hand_off["devices"]),
    }  # fmt: skip


def _state(hand_off: Row) -> str:
    if hand_off["unfinished"]:
        return UNFINISHED
    if hand_off["standing"] == "given" and hand_off["qemu"]:
        return RUNNING
    return STANDINGS.get(hand_off["standing"], str(hand_off["standing"]))
