"""Who has a disk's node open: QEMU opens a disk as any file, so the kernel would let it go. Reads only.

One pass over /proc/PID/fd, by device number: a process may have a node of its own. A child with a deadline makes it,
since stat(2) of a file of a dead NFS server does not return.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterable

from vfioctl.frozen import frozen
from vfioctl.host import guests, processes
from vfioctl.paths import Paths
from vfioctl.proc import in_child

DEADLINE = 5.0
Number = tuple[bool, int]  # whether it is of a block device, and st_rdev: both kinds use the same numbers


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
    """What one pass found. `unreadable` names the processes that we may not look into; `failed`: it did not end."""

    found: tuple[Opener, ...] = ()
    unreadable: tuple[str, ...] = ()
    failed: bool = False


def of_numbers(paths: Paths, numbers: Iterable[Number], deadline: float = DEADLINE) -> Openers:
    """Every process that has a device of `numbers` open."""
    wanted = frozenset(numbers)
    report = in_child(lambda: json.dumps(_look(paths, wanted)).encode(), deadline=deadline)
    if report.stuck or report.errno:
        return Openers(failed=True)
    rows, unreadable = json.loads(report.data)
    return Openers(tuple(Opener(*row) for row in rows), tuple(unreadable))


def _look(paths: Paths, wanted: frozenset[Number]) -> tuple[list[tuple[int, str, bool, int, str]], list[str]]:
    found: list[tuple[int, str, bool, int, str]] = []
    unreadable: list[str] = []
    for pid in sorted(int(name) for name in os.listdir(paths.proc) if name.isdecimal()):
        try:
            held = _held(os.path.join(paths.proc, str(pid), "fd"), wanted)
        except OSError as error:  # it ends while we look, or is not ours to look at
            unreadable += [processes.comm(paths, pid)] if error.errno in (errno.EACCES, errno.EPERM) else []
            continue
        found += [(pid, processes.comm(paths, pid), *one, _guest(paths, pid)) for one in sorted(held)]
    return found, unreadable


def _held(directory: str, wanted: frozenset[Number]) -> set[Number]:
    held = set()
    for name in os.listdir(directory):
        link = os.path.join(directory, name)
        try:
            if not os.readlink(link).startswith("/"):  # sockets, pipes, anonymous files
                continue
            status = os.stat(link)
        except FileNotFoundError:  # closed since, or a file in a place that is not ours
            continue
        is_block = stat.S_ISBLK(status.st_mode)
        if (is_block or stat.S_ISCHR(status.st_mode)) and (is_block, status.st_rdev) in wanted:
            held.add((is_block, status.st_rdev))
    return held


def _guest(paths: Paths, pid: int) -> str:
    return guests.name_of(paths, pid) if processes.comm(paths, pid).startswith("qemu") else ""
