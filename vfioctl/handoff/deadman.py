"""The dead-man: brings the card home when libvirtd dies in mid-prepare and no hook will ever come again.

Armed before the first effect, disarmed by `started`, an undo or `release`. Watches; acts only through recovery.
"""

from __future__ import annotations

import os

from vfioctl.compose import Composition
from vfioctl.errors import VfioctlError
from vfioctl.frozen import frozen
from vfioctl.handoff import background, markers, recovery
from vfioctl.host.processes import is_alive, start_time
from vfioctl.log import Log
from vfioctl.paths import Paths
from vfioctl.txn.plan import Plan
from vfioctl.wait import Backoff, until

DAEMON_GONE = 5.0
DAEMON_ALIVE = 120.0
REPEAT = 30.0
LOOK = 0.25  # between two looks at the daemon: the hand-off beside it has better use for the processor


@frozen
class Watched:
    """One hand-off, and the process that called its hook: pid and start time (clock ticks since boot)."""

    uuid: str
    guest: str
    daemon: int
    began: int


def arm(composition: Composition, plan: Plan, log: Log) -> None:
    """Start the watch over this hand-off. Its parent is the daemon that called the hook."""
    daemon = os.getppid()
    watched = Watched(plan.uuid, plan.guest, daemon, start_time(composition.paths, daemon) or 0)
    arguments = ("deadman", watched.uuid, watched.guest, str(watched.daemon), str(watched.began))
    background.start(composition, arguments, lambda said: watch(composition, watched, said), log)


def watch(composition: Composition, watched: Watched, log: Log) -> None:
    """Wait until the hand-off needs nobody any more, or bring its devices home when nobody else will."""
    about = log.about(guest=watched.guest, uuid=watched.uuid)
    if _wait_for_turn(composition.paths, watched):
        return
    while not _is_over(composition.paths, watched):
        try:
            about.notice(f"dead-man: {recovery.recover(composition, watched.uuid, log)}")
        except (VfioctlError, OSError) as error:
            about.warning(f"dead-man: {error}")
        if until(lambda: _is_over(composition.paths, watched), REPEAT):
            return


def _is_over(paths: Paths, watched: Watched) -> bool:
    if not markers.has(paths, watched.guest, markers.ARMED) or not os.path.exists(paths.boot_journal(watched.uuid)):
        return True
    return markers.uuid_of(paths, watched.guest) != watched.uuid


def _wait_for_turn(paths: Paths, watched: Watched) -> bool:
    """Whether the hand-off was over before it was our turn: 5 s after the daemon's end, 120 s while it lives."""
    gone_since: float | None = None
    for left in Backoff(DAEMON_ALIVE, first=LOOK, longest=LOOK):
        if _is_over(paths, watched):
            return True
        if is_alive(paths, watched.daemon, watched.began):
            gone_since = None
        elif gone_since is None:
            gone_since = left
        elif gone_since - left >= DAEMON_GONE:
            return False
    return _is_over(paths, watched)
