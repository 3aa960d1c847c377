"""Who has a disk's node open: QEMU opens a disk as any file, so the kernel would let it go. Reads only.

By device number: a process may have a node of its own.
"""

from __future__ import annotations

from collections.abc import Iterable

from vfioctl.frozen import frozen
from vfioctl.host import guests, processes
from vfioctl.host.descriptors import Number, Unseen, Wanted, look
from vfioctl.kernel_io import Writer
from vfioctl.paths import Paths

DEADLINE = 1.0  # for a guest's name, which its memory tells (/proc/PID/cmdline)


@frozen
class Opener:
    """The process `pid` with the device of this number open; `guest` is the one whose QEMU it is, or ""."""

    pid: int
    comm: str
    is_block: bool
    rdev: int
    guest: str = ""


@frozen
class Openers:
    """What one pass found, and what it could not see."""

    found: tuple[Opener, ...] = ()
    unseen: tuple[Unseen, ...] = ()


def of_numbers(paths: Paths, numbers: Iterable[Number]) -> Openers:
    """Every process that has a device of `numbers` open."""
    seen = look(paths, Wanted(frozenset(numbers)), Writer())
    held = sorted({(one.pid, one.number) for one in seen.found if one.number})
    found = (Opener(pid, processes.comm(paths, pid), *number, _guest(paths, pid)) for pid, number in held)
    return Openers(tuple(found), seen.unseen)


def called(paths: Paths, pid: int) -> str:
    """The process as people call it: "rsync (pid 812)", or the guest whose QEMU it is."""
    guest = _guest(paths, pid)
    return f"the guest {guest} (pid {pid})" if guest else f"{processes.comm(paths, pid)} (pid {pid})"


def _guest(paths: Paths, pid: int) -> str:
    if not processes.comm(paths, pid).startswith("qemu"):
        return ""
    return guests.name_of(paths, pid, deadline=DEADLINE)
