"""The mark `incoming` of a guest that brings its memory, by migration or restore. Decides only whether it counts.

libvirt calls `prepare` right after `migrate` or `restore`, and nothing when one comes to nothing: so the mark says
which daemon left it and when, and what follows much later, or by another daemon, is an ordinary start.
"""

from __future__ import annotations

import os
import time

from vfioctl import files
from vfioctl.handoff import markers
from vfioctl.host.processes import start_time
from vfioctl.paths import Paths

FRESH = 120.0  # seconds: so long libvirt may wait for another job of the guest in between


def take(paths: Paths, guest: str) -> bool:
    """Whether this start is that of a guest that arrives; the mark is gone afterwards. Raises Irregular, OSError."""
    path = os.path.join(paths.guest_markers(guest), markers.INCOMING)
    try:
        left = os.lstat(path).st_mtime
    except (FileNotFoundError, NotADirectoryError):
        return False
    words = (files.read_text(path) or "").split()
    files.remove(path)
    try:
        daemon, began, since = int(words[0]), int(words[1]), float(words[2])
    except (ValueError, IndexError):  # left by an older shim, or in a /run that was full
        return time.time() - left < FRESH
    same = daemon == os.getppid() and began == (start_time(paths, daemon) or began)
    return same and time.clock_gettime(time.CLOCK_BOOTTIME) - since < FRESH  # as proc(5) counts in uptime
