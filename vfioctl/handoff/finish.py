"""The detached part of a return: the desktop, its proof, retention, observers; and what the hook could not do.

Tries again while others have what it needs: libvirt calls no further hook, so nobody else would bring it home.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress

from vfioctl import files
from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import Busy, VfioctlError
from vfioctl.handoff import markers
from vfioctl.handoff.notes import guest_lock
from vfioctl.handoff.way_back import WayBack
from vfioctl.txn import background
from vfioctl.txn.journal import Standing, Story, read_both
from vfioctl.txn.kind import kind
from vfioctl.txn.plan import Action
from vfioctl.txn.settling import Case
from vfioctl.wait import until

if TYPE_CHECKING:
    from vfioctl.compose import Composition
    from vfioctl.files import Lock
    from vfioctl.log import Log

LOCK_SECONDS = 30.0
CARDS_SECONDS = 10.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # between two tries


def finish_later(composition: Composition, story: Story, log: Log) -> None:
    """Let the detached part do this attempt's whole return, as soon as it gets the guest's lock."""
    uuid, attempt = story.plan.key, repr(story.started)
    background.start(
        composition, ("finish", uuid, attempt), lambda said: finish(composition, uuid, said, attempt=attempt), log,
        name=f"finish-{uuid}-{attempt}",
    )  # fmt: skip


def finish(
    composition: Composition, uuid: str, log: Log, *, lock: Lock | None = None, attempt: str = ""
) -> None:
    """Bring home what is left of the guest's return, however long others have what it needs.

    `lock` is the guest's, when the process inherited it. When it had to be taken, a new start may have been faster:
    that one has finished the return itself, and what stands in the journal now is no longer ours to take back.
    `attempt` names the one whose hook could do nothing at all, however far it is by now.
    """
    journal, pause = composition.paths.boot_journal(uuid), FIRST_PAUSE
    own = lock or guest_lock(composition.paths, uuid)
    while True:
        try:
            return _bring_home(composition, own, uuid, attempt, log)
        except Busy as busy:
            log.warning(f"The return is tried again in {pause:g} s: {busy}", uuid=uuid)
        if _is_over(own, journal, pause):
            return None
        pause = min(2 * pause, LONGEST_PAUSE)


def _is_over(own: Lock, journal: str, pause: float) -> bool:
    """Whether somebody else has brought it home within `pause` seconds.

    The lock's file, which has our pid, is open meanwhile and not locked: so `status` sees that somebody works on it.
    """
    with ExitStack() as stack:
        with suppress(OSError):
            stack.callback(os.close, files.open_plain(own.path))
        return until(lambda: not os.path.exists(journal), pause)


def _bring_home(composition: Composition, own: Lock, uuid: str, attempt: str, log: Log) -> None:
    """One try. Raises Busy when another one is worth it, VfioctlError("return.unfinished") when none is."""
    paths = composition.paths
    if own.fd >= 0:
        own.sign()  # what we inherited names the hook
    else:
        own.acquire(deadline=_patience(read_both(paths, uuid)) if attempt else LOCK_SECONDS)
    with own:
        story = read_both(paths, uuid)
        if story is None or not _is_ours(story, attempt):
            return
        _close_undone(composition, uuid, log)
        _let_cards_come(composition, story)
        home = WayBack(Case(composition, story, (own.fd,), log))
        done = home.run(None, seconds=story.plan.limits.finish)
        error = None if done else home.leave_open("release")
        if done:
            home.close("release")
    from vfioctl.handoff import observers  # the hook does without it

    home.prove()
    observers.tell(composition, home, log)
    if error:
        raise error


def _patience(story: Story | None) -> float:
    """Seconds after which whoever holds the guest's lock has passed every deadline; a start waits for others first."""
    budget = story.plan.limits if story else None
    return 2 * budget.prepare + budget.undo + budget.finish if budget else 0.0


def _is_ours(story: Story, attempt: str) -> bool:
    return repr(story.started) == attempt if attempt else story.standing is Standing.RETURNING


def _let_cards_come(composition: Composition, story: Story) -> None:
    """A display manager takes the cards that it finds when it starts: those that come home now are waited for."""
    from vfioctl.handoff import others  # the hook does without it

    undone = (story.plan.step(item.step) for item in story.plan.way_back if item.action is Action.UNDO)
    if any(kind(step.kind).restarts for step in undone):
        with suppress(VfioctlError):  # what cannot be read is nobody's way home
            until(lambda: not others.on_their_way(composition.paths, story.plan), CARDS_SECONDS)


def _close_undone(composition: Composition, uuid: str, log: Log) -> None:
    """Guests that undo.sh brought home still stand in the ledger, and would keep what they shared from coming back."""
    for other in markers.undone_by_sh(composition.paths):
        if other != uuid:
            from vfioctl.txn import recover  # few hosts have one

            try:
                recover.settle(composition, other, log=log, hurried=True)
            except VfioctlError as error:
                log.warning(f"What undo.sh has undone is not closed yet: {error}", uuid=other)
