"""The dead-man: brings the card home when libvirtd dies in mid-prepare and no hook will ever come again.

Armed before the first effect, disarmed by `started`, an undo or `release`. Watches one attempt, no later one of the
same guest; acts only through txn/recover.
"""

from __future__ import annotations

import os

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import VfioctlError
from vfioctl.frozen import frozen
from vfioctl.handoff import attempts, markers
from vfioctl.handoff.attempts import Attempt
from vfioctl.host.processes import is_alive
from vfioctl.txn import background
from vfioctl.txn.background import Timer
from vfioctl.wait import Backoff, until

if TYPE_CHECKING:
    from vfioctl.compose import Composition
    from vfioctl.log import Log
    from vfioctl.paths import Paths
    from vfioctl.txn.plan import Plan

DAEMON_GONE = 5.0
START_SECONDS = 5.0  # most starts are over by then, and need no process that watches
REPEAT = 30.0
LOOK = 0.25  # between two looks at the daemon: the hand-off beside it has better use for the processor


@frozen
class Watched:
    """One attempt to hand over."""

    uuid: str
    guest: str
    attempt: Attempt


def arm(composition: Composition, plan: Plan, log: Log) -> None:
    """Start the watch over the attempt that was just committed."""
    attempt = attempts.read(composition.paths, plan.subject)
    if attempt is None:
        return
    watched = Watched(plan.key, plan.subject, attempt)
    arguments = ("deadman", plan.key, plan.subject, *str(attempt).split())
    name = f"deadman-{plan.key}-{attempt.since}"  # that of the attempt before may not have seen yet that it is over
    timer = Timer(START_SECONDS, os.path.join(composition.paths.guest_markers(plan.subject), markers.ARMED))
    background.start(
        composition, arguments, lambda said: watch(composition, watched, said), log, name=name, timer=timer
    )


def watch(composition: Composition, watched: Watched, log: Log) -> None:
    """Wait until the hand-off needs nobody any more, or bring its devices home when nobody else will."""
    about = log.about(guest=watched.guest, uuid=watched.uuid)
    if _wait_for_turn(composition.paths, watched):
        return
    while not _is_over(composition.paths, watched):
        try:
            from vfioctl.txn import recover  # few starts need it: none shares the processor with its import

            about.notice(f"dead-man: {recover.settle(composition, watched.uuid, log=log)}")
        except (VfioctlError, OSError, ImportError) as error:  # vfioctl may be replaced at this moment
            about.warning(f"dead-man: {error}")
            if isinstance(error, VfioctlError) and error.code.startswith("journal."):
                return  # it cannot be read: that does not change by itself
        if until(lambda: _is_over(composition.paths, watched), REPEAT):
            return


def _is_over(paths: Paths, watched: Watched) -> bool:
    """Whether this attempt needs nobody: another one of the same guest has a dead-man of its own."""
    if attempts.read(paths, watched.guest) != watched.attempt or not os.path.exists(paths.boot_journal(watched.uuid)):
        return True
    return markers.uuid_of(paths, watched.guest) != watched.uuid


def _wait_for_turn(paths: Paths, watched: Watched) -> bool:
    """Whether it was over before our turn came: 5 s after the daemon was seen gone, or when its time is over."""
    gone_since: float | None = None
    for left in Backoff(watched.attempt.left, first=LOOK, longest=LOOK):
        if _is_over(paths, watched):
            return True
        if is_alive(paths, watched.attempt.daemon, watched.attempt.began):
            gone_since = None
        elif gone_since is None:
            gone_since = left
        elif gone_since - left >= DAEMON_GONE:
            return False
    return _is_over(paths, watched)
