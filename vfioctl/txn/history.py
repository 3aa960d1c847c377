"""One durable record a hand-off, and the last outcome of each guest. Damaged files are named, never fatal."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

from vfioctl import files
from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import Refused, VfioctlError, reason
from vfioctl.frozen import asdict, fields, frozen

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.paths import Paths

KEEP = 500
PUBLIC, PUBLIC_DIRECTORY = 0o644, 0o755  # `vfioctl history` works without root
NAME_LENGTH = 8
LISTS, FLAGS, TIMES = ("steps", "hints"), ("ok", "refused"), ("started", "duration", "started_offset", "when")


@frozen
class StepTime:
    """How long one step took: seconds, and `started_offset` counts from the start of the hand-off."""

    id: str
    kind: str
    phase: str
    started_offset: float
    duration: float
    outcome: str  # done, why there was nothing to do, or what failed
    action: str = "apply"  # or undo


@frozen
class HandOff:
    """One hand-off. `started` is seconds since the epoch, `duration` seconds."""

    id: str
    guest: str
    uuid: str
    event: str  # prepare, release, recover
    started: float
    duration: float
    ok: bool
    message: str = ""
    steps: tuple[StepTime, ...] = ()
    code: str = ""  # of the error that ended it
    refused: bool = False  # before anything was touched

    @property
    def outcome(self) -> str:
        """done, failed, or refused."""
        return "done" if self.ok else "refused" if self.refused else "failed"


@frozen
class Last:
    """How the last hand-off of a guest ended; shown first by `status`."""

    guest: str
    uuid: str
    event: str
    ok: bool
    when: float
    message: str = ""
    code: str = ""
    state: str = ""
    hints: tuple[str, ...] = ()
    hand_off: str = ""  # id of the record, empty when there is none


@frozen
class Records:
    """Every record, newest first, and the names of the files that cannot be read."""

    hand_offs: tuple[HandOff, ...]
    damaged: tuple[str, ...] = ()


def new_id(paths: Paths, guest: str, started: float) -> str:
    """An unused id that sorts by time: 20261121T101530-win11, in UTC."""
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(started))
    name = "".join(char for char in guest.lower() if char.isascii() and char.isalnum())[:NAME_LENGTH]
    wanted, number = f"{stamp}-{name or 'guest'}", 2
    found = wanted
    while os.path.lexists(_path(paths, found)):
        found, number = f"{wanted}-{number}", number + 1
    return found


def record(paths: Paths, hand_off: HandOff, *, keep: int = KEEP) -> None:
    """Keep `hand_off`, durably, and at most `keep` records. Raises OSError (disk full, read-only)."""
    files.make_private_dir(paths.history, mode=PUBLIC_DIRECTORY)
    files.write_json(_path(paths, hand_off.id), asdict(hand_off), mode=PUBLIC)
    prune(paths, keep=keep)


def read_all(paths: Paths) -> Records:
    """All records, newest first; what cannot be read is named in `damaged`."""
    found: list[HandOff] = []
    damaged: list[str] = []
    for name in reversed(ids(paths)):
        try:
            found.append(read(paths, name))
        except VfioctlError:
            damaged.append(f"{name}.json")
    return Records(tuple(found), tuple(damaged))


def read(paths: Paths, name: str) -> HandOff:
    """The record with the id `name`. Raises Refused("history.unknown"), VfioctlError("history.damaged")."""
    if "/" in name or "\0" in name or (value := _read(_path(paths, name), name)) is None:
        raise Refused(
            "history.unknown", f"There is no hand-off {name!r} in the history.",
            hints=("List them with: vfioctl history",),
        )
    try:
        steps = tuple(_build(StepTime, step) for step in value.get("steps", ()))
        made: HandOff = _build(HandOff, {**value, "steps": steps})
        return made
    except (TypeError, AttributeError) as error:
        raise _damaged(name, str(error)) from None


def _read(path: str, name: str) -> Any:
    try:
        return files.read_json(path)
    except (ValueError, OSError) as error:
        raise _damaged(name, reason(error)) from None


def _damaged(name: str, why: str) -> VfioctlError:
    return VfioctlError("history.damaged", f"The record {name} cannot be read: {why}.")


def _build(kind: Any, value: Mapping[str, Any]) -> Any:
    """`kind` from JSON; fields of a newer version are left out. Raises TypeError when one is missing or is no such."""
    known = {field.name: value[field.name] for field in fields(kind) if field.name in value}
    for name, item in known.items():
        if not _fits(name, item):
            raise TypeError(f"{name} is {item!r:.60}")
    return kind(**known)


def _fits(name: str, value: Any) -> bool:
    """Whether `value` is what is kept as the field `name`."""
    if name in LISTS:
        return isinstance(value, tuple)
    if name in FLAGS:
        return isinstance(value, bool)
    if name in TIMES:
        from vfioctl.txn.shape import is_number  # who only writes does without

        return is_number(value)
    return isinstance(value, str)


def prune(paths: Paths, *, keep: int) -> int:
    """Remove all but the `keep` newest records; return how many went."""
    gone = ids(paths)[: -keep or None] if keep else ids(paths)
    for name in gone:
        files.remove(_path(paths, name))
    return len(gone)


def write_last(paths: Paths, last: Last) -> None:
    """Keep how the last hand-off of a guest ended. Raises OSError."""
    files.write_json(paths.last(last.guest), asdict(last))


def read_last(paths: Paths, guest: str) -> Last | None:
    """How the last hand-off of `guest` ended; None when there was none or its record is damaged."""
    try:
        value = files.read_json(paths.last(guest))
        return _build(Last, {**value, "hints": tuple(map(str, value.get("hints", ())))}) if value else None
    except (ValueError, TypeError, AttributeError, OSError):
        return None


def read_lasts(paths: Paths) -> tuple[Last, ...]:
    """The last outcome of every guest that has one, by name. Raises PermissionError where they are hidden."""
    try:
        names = sorted(os.listdir(os.path.dirname(paths.last("x"))))
    except FileNotFoundError:
        return ()
    found = (read_last(paths, name.removesuffix(".json")) for name in names if name.endswith(".json"))
    return tuple(last for last in found if last)


def settle(paths: Paths, guest: str) -> bool:
    """Take a failure of the last hand-off of `guest` as dealt with: `status` shows it no more, its record stays."""
    last = read_last(paths, guest)
    if last is None or last.ok:
        return False
    files.remove(paths.last(guest))
    return True


def ids(paths: Paths) -> list[str]:
    """The id of every record, oldest first. Raises PermissionError where the history is hidden."""
    try:
        names = os.listdir(paths.history)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(name.removesuffix(".json") for name in names if name.endswith(".json") and name[0] != ".")


def _path(paths: Paths, name: str) -> str:
    return os.path.join(paths.history, f"{name}.json")
