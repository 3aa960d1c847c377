"""What the mark `armed` says of one attempt: which process called its hook, and until when that is trusted.

Starts and ends nothing.
"""

from __future__ import annotations

import os
import time

from vfioctl import files
from vfioctl.frozen import frozen
from vfioctl.handoff import markers
from vfioctl.host.processes import is_alive, start_time
from vfioctl.paths import Paths

DAEMON_ALIVE = 120.0  # so long after `since` a daemon that lives is trusted to start QEMU
NANO = 1e9


@frozen
class Attempt:
    """One start of a guest. `began` is the daemon's start time in clock ticks since boot, `since` monotonic ns.

    Every version adds DAEMON_ALIVE to `since`, so that is moved where the settings give the daemon more time, or less.
    """

    daemon: int
    began: int
    since: int

    @property
    def left(self) -> float:
        """Seconds until a daemon that lives is no longer trusted with it."""
        return max(0.0, DAEMON_ALIVE - (time.monotonic_ns() - self.since) / NANO)

    def may_go_on(self, paths: Paths) -> bool:
        """Whether the daemon lives and may still be at work on it: the time of the dead-man has not come."""
        return self.left > 0 and is_alive(paths, self.daemon, self.began)

    def __str__(self) -> str:
        return f"{self.daemon} {self.began} {self.since}"


def by_caller(paths: Paths, seconds: float = DAEMON_ALIVE) -> Attempt:
    """An attempt that begins now, and for which a daemon that lives has so many `seconds`.

    Our parent is the daemon that called the hook: the shim execs for prepare.
    """
    daemon, moved = os.getppid(), int((seconds - DAEMON_ALIVE) * NANO)
    return Attempt(daemon, start_time(paths, daemon) or 0, time.monotonic_ns() + moved)


def read(paths: Paths, guest: str) -> Attempt | None:
    """The attempt that is armed; None when none is, or when the mark is of an older version."""
    words = (files.read_text(os.path.join(paths.guest_markers(guest), markers.ARMED)) or "").split()
    return parse(words)


def of(paths: Paths, guest: str, uuid: str) -> Attempt | None:
    """The attempt that is armed for the hand-off `uuid` of `guest`; None when none is, or that of another one."""
    attempt = read(paths, guest)
    return attempt if attempt and markers.are_of(paths, guest, uuid) else None


def parse(words: list[str]) -> Attempt | None:
    """The attempt that was written as these words; None when they are none."""
    try:
        daemon, began, since = map(int, words)
    except ValueError:
        return None
    return Attempt(daemon, began, since)
