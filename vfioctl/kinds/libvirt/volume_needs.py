"""Whether a volume may be changed or removed now: who comes to it, by guests and by chains. Only looks."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager, suppress

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed, StepRefused
from vfioctl.kinds.disks import locks
from vfioctl.kinds.disks.users import Users, users_of
from vfioctl.kinds.libvirt.pools import is_here
from vfioctl.shell import argument

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json

STATES = "Start it and shut it down, or discard its saved state, first."


def users(machine: Machine, params: Json, path: str) -> Users:
    """Who comes to the file `path`, but the guest that the step is for. Raises VfioctlError."""
    return users_of(
        machine.libvirt(params["uri"]), machine.reach.ask, path, but=params.get("domain", ""), paths=machine.paths
    )


def must_be_unneeded(found: Users, path: str) -> None:
    """Raise StepRefused("volume.used", "snapshot.unread") where a guest, a snapshot or a volume above it needs it."""
    if found.guests:
        said = f"{path} is needed by {_guests(found.guests)}."
        hints = tuple(f"See its disks with: vfioctl guest show {argument(one)}" for one in found.guests)
        raise StepRefused("volume.used", said, hints=hints)
    must_be_in_no_snapshot(found, path)
    must_be_below_nothing(found, path)


def must_be_below_nothing(found: Users, path: str) -> None:
    """Raise StepRefused("volume.used") where a volume lies right above it."""
    if found.above:
        said = f"{path} is needed by what lies above it: {', '.join(found.above)}."
        raise StepRefused("volume.used", said, hints=("Delete these first, or make them whole copies.",))


def must_be_in_no_snapshot(found: Users, path: str) -> None:
    """Raise StepRefused("volume.used") where a snapshot that is written down here needs it, and "snapshot.unread"."""
    if found.snapshots:
        said = f"{path} is needed by {', '.join(found.snapshots)}."
        hint = "Delete that first, with: vfioctl snapshot delete GUEST NAME"
        raise StepRefused("volume.used", said, hints=(hint, "Of a guest that is gone, remove the record."))
    if found.unread:
        said = f"Whether a snapshot needs {path} could not be seen: {', '.join(found.unread)} could not be read."
        raise StepRefused("snapshot.unread", said, hints=("Run it as root; a record that is damaged has to go first.",))


def must_be_at_rest(found: Users, path: str) -> None:
    """Raise StepRefused where a guest that runs, or was saved, comes to it."""
    if found.running:
        said = f"{path} is in use by {_guests(found.running)}, which {'runs' if len(found.running) == 1 else 'run'}."
        raise StepRefused("volume.busy", said, hints=("Shut it down first.",))
    if found.saved:
        said = f"{path} belongs to the saved state of {_guests(found.saved)}, whose next start goes on from that."
        raise StepRefused("domain.saved", said, hints=(STATES,))


def must_not_be_open(params: Json, path: str) -> None:
    """Raise StepRefused("disk.busy") where a program has it open, as far as this host can see it."""
    _must_be_free(params, path, locks.is_open, "a guest or a program has it open")


def must_not_be_written(params: Json, path: str) -> None:
    """Raise StepRefused("disk.busy") where a program may write to it, as far as this host can see it."""
    _must_be_free(params, path, locks.is_written, "a guest or a program may write to it")


@contextmanager
def unwritten(params: Json, path: str) -> Iterator[None]:
    """Meanwhile no QEMU opens `path` to write to it, where this host has it: such a guest does not start.

    libvirt reads its bytes as those of any file, and keeps nobody out. Raises StepRefused("disk.busy") where a program
    may write to it already, StepFailed("disk.busy") where one has done so meanwhile.
    """
    with ExitStack() as stack:
        fd = -1
        with suppress(OSError):  # not for us to see, or gone
            fd = stack.enter_context(locks.seen(path)) if is_here(params) else -1
        if fd < 0:
            yield
            return
        with suppress(OSError):  # a file system without locks
            locks.keep_writers_out(fd)
        must_not_be_written(params, path)
        began = os.fstat(fd).st_mtime_ns
        yield
        if os.fstat(fd).st_mtime_ns != began:
            raise StepFailed("disk.busy", f"{path} was written to while it was copied.")  # a copy is there by now


def _must_be_free(params: Json, path: str, is_locked: Callable[[int], bool], why: str) -> None:
    if not is_here(params):
        return
    try:
        with locks.seen(path) as fd:
            busy = is_locked(fd)
    except OSError:  # not for us to see, or gone
        return
    if busy:
        raise StepRefused("disk.busy", f"{path} is in use: {why}.")


def _guests(names: tuple[str, ...]) -> str:
    return f"the guest {names[0]}" if len(names) == 1 else f"the guests {', '.join(names)}"
