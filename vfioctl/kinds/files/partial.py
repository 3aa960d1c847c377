"""A file from elsewhere is written beside its place, and gets its name when it is whole. No step by itself."""

from __future__ import annotations

import fcntl
import os

from vfioctl.checking import TYPE_CHECKING
from vfioctl.kinds.files import place
from vfioctl.kinds.files.marks import mark, mark_of, removal, temporary_name
from vfioctl.txn.step import State
from vfioctl.wait import until

if TYPE_CHECKING:
    from vfioctl.kinds.files.place import Place
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Step

ENDING = 1.0  # seconds for a child of a process that was killed just now


def part_of(step: Step, there: Place) -> str:
    """What the file is called until it is whole."""
    return temporary_name(there.name, operation_of(step), "part")


def operation_of(step: Step) -> str:
    return str(step.baseline["operation"])


def is_ours(step: Step, there: Place) -> bool:
    """Whether the step has made what is there: by its mark, by the part that is still there, or by the checksum."""
    return there.is_by(operation_of(step), part_of(step, there), step.params.get("sha256", ""))


def probe(step: Step, machine: Machine) -> State:
    """How far the step has come."""
    return place.state(step, machine, lambda there: _state(step, there))


def undo(step: Step, machine: Machine) -> str | None:
    """Remove what the step has made; why there was nothing of it."""
    nowhere = "its directory is gone"
    return place.bounded(step, machine, lambda there: _remove(step, there), nowhere=lambda: nowhere)


def foreign(step: Step, machine: Machine) -> str:
    """The sentence about a file that is not the step's."""
    path = machine.paths.at(step.params["path"])
    return f"{path} was made by somebody else and stays. {removal(path)}."


def _state(step: Step, there: Place) -> State:
    if there.status(part_of(step, there)):
        return State.BETWEEN
    if not there.status(there.name):
        return State.BEFORE
    return State.AFTER if is_ours(step, there) else State.FOREIGN


def _remove(step: Step, there: Place) -> str | None:
    ours = is_ours(step, there)  # the part may be the proof
    there.remove(part_of(step, there))
    if ours:
        there.remove(there.name)
    there.sync()
    return None if ours else f"{there.path} is not there, or not ours"


def begun(there: Place, name: str, author: str) -> int:
    """A descriptor of the part `name`: what `author` has left of it, or a new one with that mark. Raises OSError."""
    if (left := taken_up(there, name, author)) is not None:
        return left
    fd = there.create(name)
    try:
        mark(fd, author)
        _is_free(fd)
    except BaseException:
        os.close(fd)
        there.remove(name)
        raise
    return fd


def taken_up(there: Place, name: str, author: str) -> int | None:
    """A descriptor of the part `name` that `author` has left; None where there is none, or not for sure.

    One that somebody else owns, may write to or has a link to is not taken, nor one that is still written to: a child
    that was left behind may wait for the drive in the middle of it.
    """
    try:
        fd = there.open(name, os.O_RDWR)
    except OSError:
        return None
    if _is_by(fd, author) and until(lambda: _is_free(fd), ENDING):
        return fd
    os.close(fd)
    return None


def _is_by(fd: int, author: str) -> bool:
    found = os.fstat(fd)
    is_alone = found.st_nlink == 1 and not found.st_mode & 0o022
    return is_alone and found.st_uid == os.geteuid() and mark_of(fd) == author


def _is_free(fd: int) -> bool:
    """Whether nobody else writes to it, from now on; a file system without locks is taken at its word."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
