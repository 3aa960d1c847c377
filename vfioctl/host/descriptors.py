"""Which processes have devices open or mapped, and what of it could not be seen. Reads only.

A child makes the pass and may be left behind: stat(2) of a file of a dead NFS server does not return, nor does
/proc/PID/maps while that process waits for such a file with its memory locked. Where a child hangs, the next one asks
the kernel for what it knows by itself; what hangs even so is named, and the pass goes on after it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

from vfioctl.frozen import frozen
from vfioctl.host import fd_tables, processes
from vfioctl.kernel_io import Writer
from vfioctl.paths import Paths

QUIET = 0.5  # seconds in which a pass comes to another process, or is looked at twice
PATIENCE = 1.0  # seconds in which it comes to another descriptor, once one hung
DEADLINE = 12.0  # for everything
MOST_HANGS = 6  # children that one pass leaves behind
File = tuple[int, int]  # st_dev and st_ino
Number = tuple[bool, int]  # whether it is of a block device, and st_rdev: both kinds use the same numbers


@frozen
class Wanted:
    """What is looked for: open devices by number; mapped ones (`maps`) and deleted nodes also by path.

    `places` are beginnings of the paths of deleted nodes. `files` are plain files that are open.
    """

    numbers: frozenset[Number]
    paths: frozenset[str] = frozenset()
    places: tuple[str, ...] = ()
    maps: bool = False
    files: frozenset[File] = frozenset()


@frozen
class Found:
    """The process `pid` has `path` open or mapped; `number` is None for a mapping that is known by its path alone.

    It is None for a plain file too, which it `writes` to where it was opened for that.
    """

    pid: int
    path: str
    number: Number | None
    writes: bool = False


@frozen
class Unseen:
    """What could not be seen of the process `pid`: `path` does not answer; "" when nothing of the process could.

    `denied`: we may not look into it. Without a pid it is what the pass did not come to in its time.
    """

    pid: int
    comm: str
    path: str = ""
    denied: bool = False

    @property
    def what(self) -> str:
        """The beginning of a sentence that says what is not known."""
        who = f"process {self.pid} ({self.comm})"
        if self.denied:
            return f"{who.capitalize()} may not be looked into, even by root"
        if not self.pid:
            return f"/proc did not say within {DEADLINE:g} s what all processes have open"
        return f"{self.path or 'The table of open files'} of {who} does not answer"


@frozen
class Pass:
    """What one pass saw, and what it did not."""

    found: tuple[Found, ...] = ()
    unseen: tuple[Unseen, ...] = ()


def look(paths: Paths, wanted: Wanted, writer: Writer) -> Pass:
    """Every process but ours that has something of `wanted`, as seen by the child of `writer`."""
    rows: dict[fd_tables.Row, None] = {}
    unseen = dict.fromkeys(_unseen(paths, place) for place in sorted(writer.hung) if _is_descriptor(place))
    end, after = time.monotonic() + DEADLINE, 0
    for _ in range(MOST_HANGS):
        known = frozenset(writer.hung)
        quiet, deadline = PATIENCE if known else QUIET, max(0.0, end - time.monotonic())
        given = writer.work(fd_tables.__name__, _asked(paths, wanted, after, known), quiet=quiet, deadline=deadline)
        rows.update(dict.fromkeys(tuple(row) for row in given.rows))
        if not given.hung_at:
            return _pass(paths, rows, unseen)
        if given.hung_at in known or _is_descriptor(given.hung_at):
            unseen[_unseen(paths, given.hung_at)] = None
        after = _next(given.hung_at, after, is_known=given.hung_at in known)
    return _pass(paths, rows, (*unseen, Unseen(0, "")))


def _asked(paths: Paths, wanted: Wanted, after: int, hung: frozenset[str]) -> dict[str, object]:
    return {
        "proc": paths.proc, "dev": paths.dev, "own": os.getpid(), "after": after, "wary": bool(hung),
        "skip": sorted(filter(_is_descriptor, hung)), "numbers": sorted(wanted.numbers), "maps": wanted.maps,
        "paths": sorted(wanted.paths), "places": wanted.places, "files": sorted(wanted.files),
    }  # fmt: skip


def _next(place: str, after: int, *, is_known: bool) -> int:
    """The process after which to go on: before the one that hung, unless it does so again."""
    pid = place.partition("/")[0]
    return int(pid) - (not is_known) if pid.isdecimal() else after


def _is_descriptor(place: str) -> bool:
    """Whether a child that had been told to be wary said `place`: then it is what does not answer."""
    return "/" in place


def _unseen(paths: Paths, place: str) -> Unseen:
    pid, _, name = place.partition("/")
    if not pid.isdecimal():
        return Unseen(0, "")
    return Unseen(int(pid), processes.comm(paths, int(pid)), _title(paths, place) if name else "")


def _title(paths: Paths, place: str) -> str:
    """What people call `place`. Of a mapping even the link waits for the memory map's lock."""
    if "/fd/" not in place:
        return "The memory map"
    try:
        return os.readlink(os.path.join(paths.proc, place))
    except OSError:
        return "A file"


def _pass(paths: Paths, rows: Iterable[fd_tables.Row], unseen: Iterable[Unseen]) -> Pass:
    found, denied = [], []
    for what, pid, path, is_block, rdev in rows:
        if what == fd_tables.DENIED:
            denied.append(Unseen(pid, processes.comm(paths, pid), denied=True))
        else:
            found.append(Found(pid, path, (is_block, rdev) if rdev else None, what == fd_tables.WRITTEN))
    return Pass(tuple(found), (*denied, *unseen))
