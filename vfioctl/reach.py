"""Looks at paths that may never answer, each in a child that can be left behind. Knows nothing of what is looked for.

A file system whose server is gone, or whose drive has died, keeps whoever looks in the kernel, and no signal ends that.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

from vfioctl import files
from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import Unanswered, VfioctlError, packed, unpacked
from vfioctl.ownership import way
from vfioctl.proc import in_child

if TYPE_CHECKING:
    from typing import TypeVar

    T = TypeVar("T")


SECONDS = 3.0  # for one look; a plugin that takes it has 5
REMEMBERED = 30.0
TABLE = "/proc/self/mountinfo"
ESCAPED = r"\\([0-7]{3})"  # blanks in mount points (proc(5)); compiled where there are some
MEMORY = frozenset((
    "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs", "hugetlbfs", "mqueue", "proc",
    "pstore", "ramfs", "securityfs", "sysfs", "tmpfs", "tracefs",
))  # fmt: skip
# Where the settings and the records of a host are: while such a drive is dead nothing works at all.
LOCAL = MEMORY | frozenset((
    "bcachefs", "btrfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "jfs", "nilfs2", "overlay", "reiserfs",
    "squashfs", "vfat", "xfs", "zfs",
))  # fmt: skip


class Reach:
    """What one process knows of such places. `silent` maps a directory to when it did not answer.

    What is on the file system of "/" or in the kernel's memory is looked at at once: without it nothing runs at all.
    """

    def __init__(self, silent: dict[str, float], sure: frozenset[str] = MEMORY) -> None:
        self._silent = silent
        self._sure = sure
        self._doubtful: dict[str, str] | None = None

    def ask(self, path: str, work: Callable[[], T], *, deadline: float = SECONDS) -> T:
        """What `work`, which looks at `path`, returns, as JSON keeps it. Raises what it raises, and Unanswered."""
        if self.is_silent(path):
            raise Unanswered(path)
        if not self.is_doubtful(path):
            return work()
        report = in_child(lambda: _told(work), deadline=deadline)
        if report.stuck:
            self.silence(path)
            raise Unanswered(path)
        if report.errno:
            raise OSError(report.errno, os.strerror(report.errno), path)
        error, said = json.loads(report.data)
        if error:
            raise unpacked(*error)
        given: T = said
        return given

    @property
    def doubtful(self) -> dict[str, str]:
        """The mount points that may hang, each with the type of its file system."""
        if self._doubtful is None:
            self._doubtful = _doubtful(self._sure)
        return self._doubtful

    def is_doubtful(self, path: str) -> bool:
        """Whether the way to `path` leads over a file system that may hang; it is not followed any further then."""
        return bool(self._over(path))

    def _over(self, path: str) -> str:
        """The mount point of that file system; "" for none."""
        return next((entry for entry, _ in way(path) if entry in self.doubtful), "") if self.doubtful else ""

    def worst(self, *paths: str) -> str:
        """Of `paths`, which one look is about, the first that is on a share, else on a further disk, or the last."""
        doubted = {path: self.doubtful[point] for path in paths if (point := self._over(path))}
        return next((path for path, kind in doubted.items() if kind not in LOCAL), next(iter(doubted), paths[-1]))

    def together(self, paths: Iterable[str]) -> tuple[list[str], ...]:
        """`paths` in groups that one look may be about: what hangs, hangs for all of a group.

        The way to a directory is gone once for all that lie in it.
        """
        groups: dict[str, list[str]] = {}
        ends: dict[str, tuple[str, str]] = {}
        for path in paths:
            directory, name = os.path.split(path)
            if directory not in ends:
                point = self._over(directory)
                ends[directory] = point, "" if point else os.path.realpath(directory)
            point, end = ends[directory]
            entry = os.path.join(end, name)
            if not point and self.doubtful and (entry in self.doubtful or os.path.islink(entry)):
                point = self._over(path)
            groups.setdefault(point, []).append(path)
        return tuple(groups.values())

    def silence(self, path: str) -> None:
        """Remember that the directory of `path` does not answer."""
        self._silent[os.path.dirname(path)] = time.monotonic()

    def is_silent(self, path: str) -> bool:
        since = self._silent.get(os.path.dirname(path))
        return since is not None and time.monotonic() - since < REMEMBERED


def must_answer(*places: str, silent: dict[str, float] | None = None) -> None:
    """Raise Unanswered for the first of `places`, settings or records of ours, that is on a share that hangs.

    Only a link or a mount of an administrator leads there: where there is none, this is one read of the mount table.
    """
    reach = Reach({} if silent is None else silent, LOCAL)
    below = (point for point in sorted(reach.doubtful) if point.startswith(tuple(f"{place}/" for place in places)))
    for place in (*filter(reach.is_doubtful, places), *below):
        with suppress(PermissionError, FileNotFoundError, NotADirectoryError):
            reach.ask(place, partial(_touch, place))


def _touch(place: str) -> None:
    """Wait for it as a reader of it would."""
    if os.path.isdir(place):
        os.listdir(place)


def _doubtful(sure: frozenset[str]) -> dict[str, str]:
    """The mount points of this process that hold a file system of no type in `sure`, with the type; not "/" itself."""
    try:
        data = os.fsdecode(files.read_bytes(TABLE, follow=True))
    except OSError:
        return {}
    found: dict[str, str] = {}
    for line in data.splitlines():
        left, _, right = line.partition(" - ")
        found[_plain(left.split(" ", 5)[4])] = right.split(" ", 1)[0]  # what lies over another one is what is seen
    return {point: kind for point, kind in found.items() if kind not in sure and point != "/"}


def _plain(point: str) -> str:
    return re.sub(ESCAPED, _unescaped, point) if "\\" in point else point


def _unescaped(found: re.Match[str]) -> str:
    return chr(int(found[1], 8))


def _told(work: Callable[[], object]) -> bytes:
    try:
        return json.dumps([None, work()]).encode()
    except VfioctlError as error:
        return json.dumps([packed(error), None]).encode()
