"""Who has a plain file or a disk open, or shows it as a loop device. Reads only.

By device and inode, or by the number of the disk: a process may know it by another path.
"""

from __future__ import annotations

import os
import stat

from vfioctl.checking import TYPE_CHECKING
from vfioctl.host import openers
from vfioctl.host.descriptors import Wanted, look
from vfioctl.host.readers import entries, text
from vfioctl.kernel_io import Writer
from vfioctl.wait import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from vfioctl.host.descriptors import Found
    from vfioctl.paths import Paths

PASSING = 0.3  # seconds after which who only looks in passing, as libvirt and udev do, has let go of it


def users_of_file(
    paths: Paths, ask: Callable[[str, Callable[[], Any]], Any], path: str, *, writing: bool = False
) -> tuple[str, ...]:
    """Who has `path` open, as people call them: "rsync (pid 812)", "the guest web (pid 90)", "/dev/loop3".

    Only who may write to it with `writing`. `ask` looks at files (`Host.ask`, `Reach.ask`). Nobody where there is no
    such file; a process that we may not look into is not seen. Raises OSError, Unanswered.
    """
    try:
        device, inode, disk, real = ask(path, lambda: _told(path))
    except FileNotFoundError:
        return ()
    wanted = Wanted(frozenset({(True, disk)})) if disk else Wanted(frozenset(), files=frozenset({(device, inode)}))
    looks = (_opened(paths, wanted, writing=writing) for _ in Backoff(PASSING, first=PASSING))
    if pids := next(looks):
        pids &= next(looks)
    return (*(openers.called(paths, pid) for pid in sorted(pids)), *_loops(paths, {path, real}))


def _told(path: str) -> tuple[int, int, int, str]:
    found = os.stat(path)
    return found.st_dev, found.st_ino, found.st_rdev if stat.S_ISBLK(found.st_mode) else 0, os.path.realpath(path)


def _opened(paths: Paths, wanted: Wanted, *, writing: bool) -> set[int]:
    return {one.pid for one in look(paths, wanted, Writer()).found if _counts(one, writing=writing)}


def _counts(one: Found, *, writing: bool) -> bool:
    """Of a disk nobody says how it was opened."""
    return one.writes or not writing or one.number is not None


def _loops(paths: Paths, names: set[str]) -> tuple[str, ...]:
    """The loop devices of the file: the kernel has it open, and no process."""
    base = paths.at("sys/class/block")
    shown = ((name, text(os.path.join(base, name, "loop/backing_file"))) for name in entries(base))
    return tuple(f"/dev/{name}" for name, file in shown if file in names)
