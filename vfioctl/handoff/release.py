"""`release`, `started` and the detached rest. The journal decides, never libvirt's reason."""

from __future__ import annotations

from contextlib import suppress

from vfioctl.compose import Composition
from vfioctl.errors import VfioctlError
from vfioctl.files import Lock
from vfioctl.handoff import background, markers, observers, recovery
from vfioctl.handoff.home import WayHome
from vfioctl.log import Log
from vfioctl.txn.clock import Deadline
from vfioctl.txn.engine import Engine
from vfioctl.txn.journal import Journal, Standing, Story, read_both
from vfioctl.txn.plan import Action, Part
from vfioctl.txn.resources import Ledger, guest_lock, resource_locks

STARTED_SECONDS = 10.0
LOCK_SECONDS = 30.0
BUSY_RESERVE = 2.0


def release(composition: Composition, guest: str, log: Log) -> None:
    """Bring the driver home while libvirt waits; the rest goes on detached. Raises VfioctlError when it cannot."""
    paths = composition.paths
    uuid = markers.uuid_of(paths, guest)
    story = read_both(paths, uuid) if uuid else None
    if uuid is None or story is None:
        markers.clear(paths, guest)
        return
    deadline = Deadline(story.plan.budget.release)
    lock = guest_lock(paths, uuid)
    try:
        lock.acquire(deadline=max(0.0, deadline.left - BUSY_RESERVE))
    except VfioctlError as busy:
        log.warning(f"{guest}: the return goes on in the background: {busy.message}", guest=guest, uuid=uuid)
        _leave_behind(composition, story, log)
        return
    with lock:
        markers.disarm(paths, guest)
        _returning(composition, uuid)
        story = read_both(paths, uuid)
        if story is None:
            return  # whoever held the lock has finished it
        _in_hook(composition, WayHome(composition, story, (lock.fd,), log), deadline)
        markers.set_mark(paths, guest, markers.RELEASED)
        background.start(
            composition, ("finish", uuid), lambda said: finish(composition, uuid, said, lock=lock), log, lock=lock
        )


def finish_later(composition: Composition, story: Story, log: Log) -> None:
    """Let the detached part do this attempt's whole return, as soon as it gets the guest's lock."""
    uuid, attempt = story.plan.uuid, repr(story.started)
    background.start(
        composition, ("finish", uuid, attempt), lambda said: finish(composition, uuid, said, attempt=attempt), log,
        name=f"finish-{uuid}-{attempt}",
    )  # fmt: skip


def _leave_behind(composition: Composition, story: Story, log: Log) -> None:
    """Somebody works on this attempt for longer than libvirt may wait: the detached part finishes it after them."""
    paths, plan = composition.paths, story.plan
    finish_later(composition, story, log)
    with suppress(FileNotFoundError):  # they are done by now
        markers.set_mark(paths, plan.guest, markers.RELEASED)
    if read_both(paths, plan.uuid) is None:
        markers.clear(paths, plan.guest)


def _returning(composition: Composition, uuid: str) -> None:
    """From here on the detached part has work to do, whatever the hook itself gets done."""
    with Journal(composition.paths, uuid, on_record=composition.on_record) as journal:
        journal.reopen()
        journal.standing(Standing.RETURNING)


def _in_hook(composition: Composition, home: WayHome, deadline: Deadline) -> None:
    """The first part; when others hold its resources for too long, the detached part does it as well."""
    try:
        with resource_locks(composition.paths, home.plan.resources, deadline=deadline.left / 2) as fds:
            home.fds = (*home.fds, *fds)
            home.run(Part.HOOK, seconds=deadline.left)
    except VfioctlError as error:
        home.log.warning(f"{home.plan.guest}: the return goes on in the background: {error}", guest=home.plan.guest)


def finish(
    composition: Composition, uuid: str, log: Log, *, lock: Lock | None = None, attempt: str = ""
) -> None:
    """The detached part: desktop, verification, retention, observers; and what the hook could not do in its time.

    `lock` is the guest's, when the process inherited it. When it had to be taken, a new start may have been faster:
    that one has finished the return itself, and what stands in the journal now is no longer ours to take back.
    `attempt` names the one whose hook could do nothing at all, however far it is by now.
    """
    paths = composition.paths
    if lock is None:
        lock = guest_lock(paths, uuid)
        lock.acquire(deadline=_patience(read_both(paths, uuid)) if attempt else LOCK_SECONDS)
    with lock:
        story = read_both(paths, uuid)
        if story is None or not _is_ours(story, attempt):
            return
        deadline = Deadline(story.plan.budget.finish)
        _close_undone(composition, uuid, log)
        with resource_locks(paths, story.plan.resources, deadline=deadline.left / 2) as fds:
            home = WayHome(composition, story, (lock.fd, *fds), log)
            done = home.run(None, seconds=deadline.left)
            error = None if done else home.leave_open("release")
            if done:
                home.close("release")
    observers.tell(composition, home, log)
    if error:
        raise error


def _patience(story: Story | None) -> float:
    """Seconds after which whoever holds the guest's lock has passed every deadline."""
    return story.plan.budget.prepare + story.plan.budget.undo + story.plan.budget.finish if story else 0.0


def _is_ours(story: Story, attempt: str) -> bool:
    return repr(story.started) == attempt if attempt else story.standing is Standing.RETURNING


def _close_undone(composition: Composition, uuid: str, log: Log) -> None:
    """Guests that undo.sh brought home still stand in the ledger, and would keep what they shared from coming back."""
    for other in markers.undone_by_sh(composition.paths):
        if other != uuid:
            try:
                recovery.recover(composition, other, log)
            except VfioctlError as error:
                log.warning(f"What undo.sh has undone is not closed yet: {error}", uuid=other)


def started(composition: Composition, guest: str, log: Log) -> None:
    """QEMU runs: nobody has to bring the card home now. Steps that follow the start are best effort."""
    paths = composition.paths
    markers.disarm(paths, guest)
    uuid = markers.uuid_of(paths, guest)
    story = read_both(paths, uuid) if uuid else None
    if story:
        run_late(composition, story, log)


def run_late(composition: Composition, story: Story, log: Log) -> None:
    """The steps that follow the start, as far as they have not run yet."""
    plan, done = story.plan, story.finished(Action.APPLY)
    steps = tuple(step for step in plan.running if step.id not in done)
    if not steps:
        return
    with Journal(composition.paths, plan.uuid, on_record=composition.on_record) as journal:
        journal.reopen(lenient=False)  # what is done now is undone only where its intent was written
        engine = Engine(composition.machine(), journal, Ledger(composition.paths))
        engine.run_best_effort(steps, deadline=Deadline(STARTED_SECONDS))
    for failure in engine.warnings:
        log.warning(f"{plan.guest}: {failure.message}", guest=plan.guest, code=failure.code)
