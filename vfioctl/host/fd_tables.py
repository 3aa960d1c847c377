"""The pass over /proc/PID/fd and the mappings, as a child makes it. Reads only; see descriptors.py for who asks.

Two ways to look at a descriptor: stat(2), and once that hung the attributes that the kernel has (statx(2) with
AT_STATX_DONT_SYNC), for which hardly a file system asks its server. What they say of a device is certain: by this inode
the kernel chose the driver as the file was opened.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress

from vfioctl.checking import TYPE_CHECKING
from vfioctl.host.readers import raw

if TYPE_CHECKING:
    from typing import Any

DELETED = " (deleted)"
# Majors of null, tty and pts: most of what is open, and never a node of a device, deleted or not.
COMMON_MAJORS = (1, 5, 136)
ENDED = (errno.ENOENT, errno.ESRCH, errno.EINVAL, errno.ENOTDIR)  # what /proc says of a process that ends as we look
OPEN, WRITTEN, MAPPED, DENIED = "open", "written", "mapped", "denied"
Row = tuple[str, int, str, bool, int]  # what it says, pid, path, whether of a block device, st_rdev
Say = Callable[[str], None]


def below_dev(path: str) -> str:
    """`path` from /dev on: a process in another root sees it below that root."""
    return path[max(0, path.rfind("/dev/")) :]


def work(asked: dict[str, Any], say: Say) -> Iterator[Row]:
    """A row for each descriptor and mapping that is `asked` for, and for each process that may not be looked into.

    `proc`, `dev`, `own`: where, and the process that does not count. `numbers`: [is_block, st_rdev] of what is looked
    for; `files`: [st_dev, st_ino] of plain files, likewise; `paths`: of mapped and of deleted nodes; `places`:
    beginnings of paths of deleted ones; `maps`: whether mappings count. `after`: only the processes of a higher number.
    `wary`: a pass hung before; `skip`: at this.
    """
    tables = _Pass(asked, say)
    for pid in tables.pids(asked["after"]):
        yield from tables.process(pid)


class _Pass:
    """One pass. Rows are made here and nothing is kept."""

    def __init__(self, asked: dict[str, Any], say: Say) -> None:
        self.proc, self.own, self.say = asked["proc"], asked["own"], say
        self.numbers = {(bool(block), number) for block, number in asked["numbers"]}
        self.files = {(device, inode) for device, inode in asked["files"]}
        self.paths, self.places = frozenset(asked["paths"]), tuple(asked["places"])
        self.maps, self.wary, self.skip = asked["maps"], asked["wary"], frozenset(asked["skip"])
        self.has_threads = os.path.isdir(os.path.join(self.proc, "self", "task"))  # a simulated /proc has none
        self.has_areas = self.has_threads and self.maps and os.geteuid() == 0  # map_files is for root
        self.dev = _number_of(asked["dev"]) if self.has_areas else b""

    def pids(self, after: int) -> list[int]:
        pids = (int(name) for name in os.listdir(self.proc) if name.isdecimal())
        return sorted(pid for pid in pids if pid > after and pid != self.own)

    def process(self, pid: int) -> Iterator[Row]:
        self.say(str(pid))
        try:
            for task in self._tasks(str(pid)):
                yield from self._opened(pid, task)
            if self.maps:
                yield from self._mapped(pid)
        except OSError as error:
            if error.errno not in ENDED:
                yield DENIED, pid, "", False, 0

    def _tasks(self, pid: str) -> Iterator[str]:
        """The process, and each of its threads that has a table of descriptors of its own (unshare(2), CLONE_FILES)."""
        yield pid
        seen, threads = [int(pid)], self._threads(pid)
        if not threads:
            return
        from vfioctl.host import cached_status  # a simulated /proc has no threads

        for name in threads:
            if not any(cached_status.share_files(other, int(name)) for other in seen):
                seen.append(int(name))
                yield f"{pid}/task/{name}"

    def _threads(self, pid: str) -> list[str]:
        """The threads but the first one."""
        directory = os.path.join(self.proc, pid, "task")
        if not self.has_threads or os.stat(directory).st_nlink <= 3:  # noqa: PLR2004 -- ".", ".." and one thread
            return []
        return [name for name in os.listdir(directory) if name != pid]

    # Descriptors

    def _opened(self, pid: int, task: str) -> Iterator[Row]:
        for name in self._names(task):
            found = self._look(f"{task}/fd/{name}")
            if found and not (flags := self._flags(f"{task}/fdinfo/{name}")) & os.O_PATH:
                written = found[0] and not found[2] and flags & os.O_ACCMODE != os.O_RDONLY
                yield WRITTEN if written else OPEN, pid, *found

    def _names(self, task: str) -> list[str]:
        try:
            return os.listdir(os.path.join(self.proc, task, "fd"))
        except OSError as error:
            if error.errno in ENDED:
                return []
            raise

    def _look(self, place: str) -> tuple[str, bool, int] | None:
        """What is at the link `place`, where it is asked for. Raises PermissionError when the link cannot be read.

        Whatever else goes wrong its file system says (EACCES: somebody's FUSE; ENOTCONN, ESTALE, EIO, …), or it is
        closed by now: that costs this descriptor alone.
        """
        if place in self.skip:
            return None
        path = f"{self.proc}/{place}"  # os.path.join would cost a tenth of the pass
        try:
            mode, number = self._status(place)
            if self.files and stat.S_ISREG(mode):
                return (os.readlink(path), False, 0) if self._identity(place) in self.files else None
            is_block, is_character = stat.S_ISBLK(mode), stat.S_ISCHR(mode)
            wanted = (is_block or is_character) and (is_block, number) in self.numbers
            if not wanted and (not is_character or os.major(number) in COMMON_MAJORS):
                return None
            link = os.readlink(path)
        except OSError:
            _must_be_readable(path)
            return None
        return (link, is_block, number) if wanted or self._is_gone(below_dev(link)) else None

    def _status(self, place: str) -> tuple[int, int]:
        path = f"{self.proc}/{place}"
        if self.wary:
            from vfioctl.host import cached_status

            self.say(place)
            with suppress(ImportError, AttributeError):  # without a way to ask, it hangs, and is named
                return cached_status.of(path)
        status = os.stat(path)
        return status.st_mode, status.st_rdev

    def _is_gone(self, path: str) -> bool:
        return path.endswith(DELETED) and (path.removesuffix(DELETED) in self.paths or path.startswith(self.places))

    def _identity(self, place: str) -> tuple[int, int]:
        """Which plain file it is: st_dev and st_ino."""
        path = f"{self.proc}/{place}"
        if self.wary:
            from vfioctl.host import cached_status

            with suppress(ImportError, AttributeError):
                return cached_status.file(path)
        status = os.stat(path)
        return status.st_dev, status.st_ino

    def _flags(self, place: str) -> int:
        """How it was opened. Who may not open a node can have it with O_PATH: its driver knows of none (open(2))."""
        lines = (raw(os.path.join(self.proc, place)) or b"").splitlines()
        return int(next((line.split()[-1] for line in lines if line.startswith(b"flags:")), b"0"), 8)

    # Mappings, which outlive the close of the file

    def _mapped(self, pid: int) -> Iterator[Row]:
        place = f"{pid}/maps"
        if place in self.skip:
            return
        if self.wary:
            self.say(place)
        data = self._maps(place) or self._maps_of_a_thread(pid)
        for line in data.splitlines() if self._is_worth_it(data) else ():
            if b"/dev/" in line:
                path = below_dev(line.decode("utf-8", "replace"))
                if path in self.paths or self._is_gone(path):
                    yield MAPPED, pid, path, False, 0
            if self.has_areas and (b"-s " in line or b"xs " in line or self.dev in line):
                yield from self._area(pid, line)

    def _is_worth_it(self, data: bytes) -> bool:
        """Whether there may be a line that counts: most processes have none, and many lines."""
        return b"/dev/" in data or (self.has_areas and (b"-s " in data or b"xs " in data or self.dev in data))

    def _area(self, pid: int, line: bytes) -> Iterator[Row]:
        """A mapping of a device by number, whatever its node is called there.

        Looked at are those that are shared, which most drivers ask for, and those of a node of the host's own /dev.
        """
        area, _, rest = line.partition(b" ")
        if (rest[3:4] == b"s" or self.dev in rest) and b" /" in rest:
            first, last = (int(end, 16) for end in area.split(b"-"))
            try:
                found = self._look(f"{pid}/map_files/{first:x}-{last:x}")
            except PermissionError:  # root without the capability for it
                return
            if found:
                yield MAPPED, pid, *found

    def _maps(self, place: str) -> bytes:
        try:
            with open(os.path.join(self.proc, place), "rb", buffering=0) as file:
                return file.readall() or b""
        except FileNotFoundError:
            return b""

    def _maps_of_a_thread(self, pid: int) -> bytes:
        """Of a process whose first thread has ended only the others show the memory."""
        threads = self._threads(str(pid))
        return next((found for name in threads if (found := self._maps(f"{pid}/task/{name}/maps"))), b"")


def _number_of(directory: str) -> bytes:
    """The device of the file system of `directory`, as maps write it."""
    number = os.stat(directory).st_dev
    return b" %02x:%02x " % (os.major(number), os.minor(number))


def _must_be_readable(path: str) -> None:
    """Raise PermissionError where not even the link can be read: then it is the process that is closed to us."""
    try:
        os.readlink(path)
    except PermissionError:
        raise
    except OSError:
        return
