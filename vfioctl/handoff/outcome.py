"""How a hand-off ended: the record in the history, the last outcome of the guest, one line in the log."""

from __future__ import annotations

import os
import time

from vfioctl import files
from vfioctl.errors import Refused, VfioctlError, reason
from vfioctl.frozen import asdict, frozen, replace
from vfioctl.log import Log
from vfioctl.paths import Paths
from vfioctl.txn import history
from vfioctl.txn.clock import StepTime


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
class Ending:
    """What is to be kept. `error` is None for a success."""

    guest: str
    uuid: str
    event: str
    times: tuple[StepTime, ...] | None = None  # None: nothing was done; only a refusal is on record then
    error: VfioctlError | None = None
    message: str = ""

    @property
    def text(self) -> str:
        return str(self.error) if self.error else self.message

    @property
    def refused(self) -> bool:
        """Whether a start was refused before anything was touched."""
        return self.times is None and isinstance(self.error, Refused)


def keep(paths: Paths, log: Log, ending: Ending) -> str:
    """Keep `ending` where a dead session cannot take it along; returns the id of its record, "" where there is none.

    A full disk is logged, never fatal.
    """
    name = ""
    try:
        recorded = ending.times is not None or ending.refused
        name = _repeated(paths, ending) or (_record(paths, ending) if recorded else "")
        write_last(paths, _last(ending, name))
    except OSError as error:
        log.warning(f"The outcome of {ending.guest} could not be kept: {reason(error)}.", guest=ending.guest)
    if not ending.error:  # an error is said once, by the boundary that it reaches
        log.info(f"{ending.guest}: {ending.event}: {ending.message or 'done'}", guest=ending.guest, uuid=ending.uuid)
    return name


def amend(paths: Paths, log: Log, ending: Ending, name: str) -> None:
    """Keep the message of `ending`, whose record is called `name`, anew; also as the guest's last, where it is that."""
    try:
        history.record(paths, replace(history.read(paths, name), message=ending.text))
        last = read_last(paths, ending.guest)
        if last and last.hand_off == name:
            write_last(paths, replace(last, message=ending.text))
    except (OSError, VfioctlError) as error:
        log.warning(f"What was seen of {ending.guest} could not be kept: {error}.", guest=ending.guest)


def _repeated(paths: Paths, ending: Ending) -> str:
    """The record of the same failure when it was the last outcome too: who tries again and again adds none."""
    if ending.error is None:
        return ""
    last = read_last(paths, ending.guest)
    if last is None:
        return ""
    told, now = (last.uuid, last.event, last.code), (ending.uuid, ending.event, ending.error.code)
    return last.hand_off if told == now and _alike(last.message, ending.error.message) else ""


def _alike(one: str, other: str) -> bool:
    """Whether two sentences differ in numbers only: the same program may have another pid by now."""
    left, right = ("".join(letter for letter in text if not letter.isdigit()) for text in (one, other))
    return left == right


def _record(paths: Paths, ending: Ending) -> str:
    return history.keep_run(
        paths, ending.times or (), subject=ending.guest, key=ending.uuid, event=ending.event, message=ending.text,
        error=ending.error, refused=ending.refused,
    )  # fmt: skip


def _last(ending: Ending, name: str) -> Last:
    error = ending.error
    return Last(
        guest=ending.guest, uuid=ending.uuid, event=ending.event, ok=error is None, when=time.time(),
        message=error.message if error else ending.message, code=error.code if error else "",
        state=error.state if error else "", hints=error.hints if error else (), hand_off=name,
    )  # fmt: skip


def write_last(paths: Paths, last: Last) -> None:
    """Keep how the last hand-off of a guest ended. Raises OSError."""
    files.write_json(paths.last(last.guest), asdict(last))


def read_last(paths: Paths, guest: str) -> Last | None:
    """How the last hand-off of `guest` ended; None when there was none or its record is damaged."""
    try:
        value = files.read_json(paths.last(guest))
        hints = tuple(map(str, value.get("hints", ()))) if value else ()
        found: Last | None = history.built(Last, {**value, "hints": hints}) if value else None
    except (ValueError, TypeError, AttributeError, OSError):
        return None
    return found


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
