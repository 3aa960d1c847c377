"""One durable record of each run of an operation. Damaged files are named, never fatal."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from vfioctl import files
from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import Refused, VfioctlError, reason
from vfioctl.frozen import asdict, fields, frozen

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.paths import Paths
    from vfioctl.txn import clock

KEEP, KEEP_OTHERS = 500, 200
OF = "+"  # in an id, before an operation that is not the one without a name
PUBLIC, PUBLIC_DIRECTORY = 0o644, 0o755  # `vfioctl history` works without root
NAME_LENGTH = 8
LISTS, FLAGS, TIMES = ("steps", "hints"), ("ok", "refused"), ("started", "duration", "started_offset", "when")
WHOLE = ("exit_status",)


@frozen
class StepTime:
    """How long one step took: seconds, and `started_offset` counts from the start of the operation."""

    id: str
    kind: str
    phase: str
    started_offset: float
    duration: float
    outcome: str  # done, why there was nothing to do, or what failed
    action: str = "apply"  # or undo


@frozen
class Run:
    """One run of an operation. `started` is seconds since the epoch, `duration` seconds.

    `code`, `state`, `hints` and `exit_status` are those of the error that ended it; an older record has the code alone.
    """

    id: str
    guest: str
    uuid: str
    event: str  # prepare, release, recover
    started: float
    duration: float
    ok: bool
    message: str = ""
    steps: tuple[StepTime, ...] = ()
    code: str = ""
    refused: bool = False  # before anything was touched
    operation: str = ""  # empty where it is the one whose records name none
    state: str = ""
    hints: tuple[str, ...] = ()
    exit_status: int = 0

    @property
    def outcome(self) -> str:
        """done, failed, or refused."""
        return "done" if self.ok else "refused" if self.refused else "failed"


@frozen
class Records:
    """Every record, newest first, and the names of the files that cannot be read."""

    runs: tuple[Run, ...]
    damaged: tuple[str, ...] = ()


def new_id(paths: Paths, subject: str, started: float, operation: str = "") -> str:
    """An unused id that sorts by time: 20261121T101530-win11, in UTC; with "+operation" where that is another one."""
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(started))
    name, sort = _plain(subject.rpartition(":")[2]), f"{OF}{_plain(operation)}" if operation else ""
    wanted, number = f"{stamp}-{name or 'unnamed'}{sort}", 2
    found = wanted
    while os.path.lexists(_path(paths, found)):
        found, number = f"{wanted}-{number}", number + 1
    return found


def keep_run(
    paths: Paths, times: Sequence[clock.StepTime], *, subject: str, key: str, event: str, operation: str = "",
    message: str, error: VfioctlError | None, refused: bool = False,
) -> str:
    """Keep one run that ends now, in `error` where it failed, and took `times`; returns the id of its record.

    Raises OSError.
    """
    duration = max((one.started + one.duration for one in times), default=0.0)
    started = time.time() - duration
    steps = tuple(StepTime(t.id, t.kind, t.phase, t.started, t.duration, t.outcome, t.action) for t in times)
    end = {name: getattr(error, name) for name in ("code", "state", "hints", "exit_status")} if error else {}
    made = Run(
        new_id(paths, subject, started, operation), subject, key, event, started, duration, error is None, message,
        steps, refused=refused, operation=operation, **end,
    )  # fmt: skip
    record(paths, made)
    return made.id


def _plain(text: str) -> str:
    return "".join(char for char in text.lower() if char.isascii() and char.isalnum())[:NAME_LENGTH]


def record(paths: Paths, run: Run, *, keep: int = KEEP) -> None:
    """Keep `run`, durably, and at most `keep` records like it. Raises OSError (disk full, read-only)."""
    files.make_private_dir(paths.history, mode=PUBLIC_DIRECTORY)
    files.write_json(_path(paths, run.id), asdict(run), mode=PUBLIC)
    prune(paths, keep=keep, new=run.id)


def read_all(paths: Paths) -> Records:
    """All records, newest first by their end; what cannot be read is named in `damaged`."""
    found: list[Run] = []
    damaged: list[str] = []
    for name in reversed(ids(paths)):
        try:
            found.append(read(paths, name))
        except VfioctlError:
            damaged.append(f"{name}.json")
    return Records(newest_first(found), tuple(damaged))


def newest_first(runs: Iterable[Run]) -> tuple[Run, ...]:
    """The same, by their end: ids tell seconds, and then names decide."""
    return tuple(sorted(runs, key=lambda run: run.started + run.duration, reverse=True))


def find(paths: Paths, key: str) -> Run | None:
    """The newest readable record of the operation `key`; None when there is none."""
    for name in reversed(ids(paths)):
        with suppress(VfioctlError):
            if (run := read(paths, name)).uuid == key:
                return run
    return None


def read(paths: Paths, name: str) -> Run:
    """The record with the id `name`. Raises Refused("history.unknown"), VfioctlError("history.damaged")."""
    if "/" in name or "\0" in name or (value := _read(_path(paths, name), name)) is None:
        raise Refused(
            "history.unknown", f"There is no record {name!r} in the history.",
            hints=("List them with: vfioctl history",),
        )
    try:
        steps = tuple(built(StepTime, step) for step in value.get("steps", ()))
        made: Run = built(Run, {**value, "steps": steps, "hints": _texts(value.get("hints", []))})
        return made
    except (TypeError, AttributeError) as error:
        raise _damaged(name, str(error)) from None


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise TypeError(f"hints is {value!r:.60}")
    return tuple(value)


def _read(path: str, name: str) -> Any:
    try:
        return files.read_json(path)
    except (ValueError, OSError) as error:
        raise _damaged(name, reason(error)) from None


def _damaged(name: str, why: str) -> VfioctlError:
    return VfioctlError("history.damaged", f"The record {name} cannot be read: {why}.")


def built(kind: Any, value: Mapping[str, Any]) -> Any:
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
    if name in WHOLE:
        return type(value) is int  # JSON's true is one too
    if name in TIMES:
        from vfioctl.txn.shape import is_number  # who only writes does without

        return is_number(value)
    return isinstance(value, str)


def prune(paths: Paths, *, keep: int, new: str = "") -> int:
    """Remove all but the `keep` newest records, and KEEP_OTHERS of each other operation; return how many went.

    `new` is the newest, also where the clock was set back since the others were written.
    """
    sorts: dict[str, list[str]] = {}
    for name in sorted(ids(paths), key=lambda name: (name == new, name)):
        sorts.setdefault(name.partition(OF)[2].partition("-")[0], []).append(name)
    gone = [name for sort, names in sorts.items() for name in _oldest(names, KEEP_OTHERS if sort else keep)]
    for name in gone:
        files.remove(_path(paths, name))
    return len(gone)


def _oldest(names: list[str], keep: int) -> list[str]:
    return names[:-keep] if keep else names


def ids(paths: Paths) -> list[str]:
    """The id of every record, oldest first. Raises PermissionError where the history is hidden."""
    try:
        names = os.listdir(paths.history)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(name.removesuffix(".json") for name in names if name.endswith(".json") and name[0] != ".")


def _path(paths: Paths, name: str) -> str:
    return os.path.join(paths.history, f"{name}.json")
