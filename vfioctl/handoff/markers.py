"""The files below /run/vfioctl/guests/NAME that the shim asks about. Knows their names and nothing of their use."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from vfioctl import files
from vfioctl.checking import TYPE_CHECKING

if TYPE_CHECKING:
    from vfioctl.paths import Paths
    from vfioctl.txn.plan import Plan

STARTED = "started"
OPERATIONS = (STARTED, "reconnect", "release")
UUID = "uuid"
ARMED = "armed"
RELEASED = "released"
UNDO = "undo.sh"
INCOMING = "incoming"
UNDONE_BY_SH = "undone-by-sh"
EXECUTABLE = 0o700


def write(paths: Paths, plan: Plan, *, armed: str) -> None:
    """Leave the rendered undo, then the operations that this hand-off needs; those last, as they make the shim act."""
    directory = paths.guest_markers(plan.subject)
    files.make_private_dir(directory)
    for name in (RELEASED, UNDONE_BY_SH):
        files.remove(os.path.join(directory, name))
    _put(directory, UNDO, _script(paths, plan), mode=EXECUTABLE)
    _put(directory, UUID, plan.key + "\n")
    _put(directory, ARMED, armed + "\n")
    _put_operations(directory, OPERATIONS, plan)


def restore(paths: Paths, plan: Plan) -> None:
    """Leave again what is missing for the return of a guest that runs. `armed` is none of it: QEMU is there."""
    directory = paths.guest_markers(plan.subject)
    files.make_private_dir(directory)
    files.remove(os.path.join(directory, RELEASED))
    if uuid_of(paths, plan.subject) != plan.key or not has(paths, plan.subject, UNDO):
        _put(directory, UNDO, _script(paths, plan), mode=EXECUTABLE)
        _put(directory, UUID, plan.key + "\n")
    _put_operations(directory, [name for name in OPERATIONS if not has(paths, plan.subject, name)], plan)


def _put_operations(directory: str, names: Iterable[str], plan: Plan) -> None:
    """The marks that make the shim act. It does what `started` needs itself where that one is empty."""
    for name in names:
        _put(directory, name, "steps follow\n" if name == STARTED and plan.held else "")


def _script(paths: Paths, plan: Plan) -> str:
    from vfioctl.handoff import undo_sh  # who only asks for marks does without

    return undo_sh.render(plan.subject, plan.key, plan.undo_order(), paths, back=plan.proof)


def _put(directory: str, name: str, text: str, *, mode: int = files.PRIVATE) -> None:
    """Replace a file; /run is gone after a power cut anyway, so nothing is synced."""
    temporary = os.path.join(directory, f".{name}.new")
    fd = files.create(temporary, mode)
    try:
        files.write_all(fd, text.encode(errors="surrogateescape"))
    finally:
        os.close(fd)
    os.replace(temporary, os.path.join(directory, name))


def set_mark(paths: Paths, guest: str, name: str, text: str = "") -> None:
    """Leave the mark `name`."""
    _put(paths.guest_markers(guest), name, text)


def has(paths: Paths, guest: str, name: str) -> bool:
    return os.path.lexists(os.path.join(paths.guest_markers(guest), name))


def take(paths: Paths, guest: str, name: str) -> bool:
    """Whether the mark was there; it is not afterwards."""
    found = has(paths, guest, name)
    files.remove(os.path.join(paths.guest_markers(guest), name))
    return found


def uuid_of(paths: Paths, guest: str) -> str | None:
    """The UUID of the hand-off that left its markers under this name."""
    text = files.read_text(os.path.join(paths.guest_markers(guest), UUID))
    return text.strip() if text else None


def are_of(paths: Paths, guest: str, uuid: str) -> bool:
    """Whether the marks of `guest` are those of the hand-off `uuid`: another guest may have had the name since."""
    return bool(guest) and uuid_of(paths, guest) == uuid


def undone_by_sh(paths: Paths) -> tuple[str, ...]:
    """The UUIDs of hand-offs that undo.sh has brought home, and whose books nobody has closed yet."""
    try:
        guests = sorted(os.listdir(paths.markers))
    except FileNotFoundError:
        return ()
    found = (uuid_of(paths, guest) for guest in guests if has(paths, guest, UNDONE_BY_SH))
    return tuple(uuid for uuid in found if uuid)


def disarm(paths: Paths, guest: str) -> None:
    """Tell the dead-man that somebody is there."""
    files.remove(os.path.join(paths.guest_markers(guest), ARMED))


def clear_of(paths: Paths, plan: Plan) -> None:
    """Remove the marks that `plan` left; another guest of the same name may have left its own since."""
    if uuid_of(paths, plan.subject) in (None, plan.key):
        clear(paths, plan.subject)


def clear(paths: Paths, guest: str) -> None:
    """Remove every mark; operations first, so that the shim no longer acts, and `released` last.

    The shim runs undo.sh when there is no `released`, so that one must not go before undo.sh.
    """
    directory = paths.guest_markers(guest)
    try:
        names = os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in sorted(names, key=lambda name: (name not in OPERATIONS, name == RELEASED)):
        path = os.path.join(directory, name)
        if stat.S_ISREG(os.lstat(path).st_mode) and name != INCOMING:
            files.remove(path)
    try:
        os.rmdir(directory)
    except OSError:
        return  # the mark of an incoming migration stays for the next prepare
