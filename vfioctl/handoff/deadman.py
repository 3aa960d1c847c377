"""The dead-man: brings the card home when libvirtd dies in mid-prepare and no hook will ever come again.

Armed before the first effect, disarmed by `started`, an undo or `release`. Watches; acts only through recovery.
"""

from __future__ import annotations

import os

from vfioctl.compose import Composition
from vfioctl.errors import VfioctlError
from vfioctl.handoff import background, markers, recovery
from vfioctl.host.processes import is_alive, start_time
from vfioctl.log import Log
from vfioctl.txn.journal import read_both
from vfioctl.txn.plan import Plan
from vfioctl.wait import Backoff, until

DAEMON_GONE = 5.0
DAEMON_ALIVE = 120.0
REPEAT = 30.0


def arm(composition: Composition, plan: Plan, log: Log) -> None:
    """Start the watch over this hand-off. Its parent is the daemon that called the hook."""
    daemon = os.getppid()
    began = start_time(composition.paths, daemon) or 0
    background.start(composition, ("deadman", plan.uuid, plan.guest, str(daemon), str(began)), log)


def watch(composition: Composition, uuid: str, guest: str, *, daemon: int, began: int, log: Log) -> None:
    """Wait until the hand-off needs nobody any more, or bring its devices home when nobody else will."""
    if _wait_for_turn(composition, guest, uuid, daemon, began):
        return
    while not _is_over(composition, guest, uuid):
        try:
            said = recovery.recover(composition, uuid, log)
            log.notice(f"dead-man: {said}", guest=guest, uuid=uuid)
        except VfioctlError as error:
            log.warning(f"dead-man: {error}", guest=guest, uuid=uuid)
        if until(lambda: _is_over(composition, guest, uuid), REPEAT):
            return


def _is_over(composition: Composition, guest: str, uuid: str) -> bool:
    armed = markers.has(composition.paths, guest, markers.ARMED)
    return not armed or markers.uuid_of(composition.paths, guest) != uuid or not read_both(composition.paths, uuid)


def _wait_for_turn(composition: Composition, guest: str, uuid: str, daemon: int, began: int) -> bool:
    """Whether the hand-off was over before it was our turn: 5 s after the daemon's end, 120 s while it lives."""
    gone_since: float | None = None
    for left in Backoff(DAEMON_ALIVE):
        if _is_over(composition, guest, uuid):
            return True
        if is_alive(composition.paths, daemon, began):
            gone_since = None
        elif gone_since is None:
            gone_since = left
        elif gone_since - left >= DAEMON_GONE:
            return False
    return _is_over(composition, guest, uuid)
