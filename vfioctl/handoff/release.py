"""`release` and `started`, while libvirt waits; finish.py has the rest. The journal decides, never libvirt's reason."""

from __future__ import annotations

from contextlib import suppress

from vfioctl.compose import Composition
from vfioctl.errors import VfioctlError
from vfioctl.handoff import markers
from vfioctl.handoff.finish import finish, finish_later
from vfioctl.handoff.notes import guest_lock
from vfioctl.handoff.way_back import WayBack
from vfioctl.log import Log
from vfioctl.txn import background
from vfioctl.txn.clock import Deadline
from vfioctl.txn.journal import Standing, Story, read_both
from vfioctl.txn.plan import Action, Part
from vfioctl.txn.settling import Case

STARTED_SECONDS = 10.0
BUSY_RESERVE = 2.0


def release(composition: Composition, guest: str, log: Log) -> None:
    """Bring the driver home while libvirt waits; the rest goes on detached. Raises VfioctlError when it cannot."""
    paths = composition.paths
    uuid = markers.uuid_of(paths, guest)
    story = read_both(paths, uuid) if uuid else None
    if uuid is None or story is None:
        markers.clear(paths, guest)
        return
    deadline = Deadline(story.plan.limits.release)
    lock = guest_lock(paths, uuid)
    try:
        lock.acquire(deadline=max(0.0, deadline.left - BUSY_RESERVE))
    except VfioctlError as busy:
        log.warning(f"{guest}: the return goes on in the background: {busy.message}", guest=guest, uuid=uuid)
        _leave_behind(composition, story, log)
        return
    with lock:
        markers.disarm(paths, guest)
        with composition.transaction(story.plan).reopen(Standing.RETURNING):
            pass  # from here on the detached part has work to do, whatever the hook itself gets done
        story = read_both(paths, uuid)
        if story is None:
            return  # whoever held the lock has finished it
        _in_hook(WayBack(Case(composition, story, (lock.fd,), log)), deadline)
        markers.set_mark(paths, guest, markers.RELEASED)
        background.start(
            composition, ("finish", uuid), lambda said: finish(composition, uuid, said, lock=lock), log, lock=lock
        )


def _leave_behind(composition: Composition, story: Story, log: Log) -> None:
    """Somebody works on this attempt for longer than libvirt may wait: the detached part finishes it after them."""
    paths, plan = composition.paths, story.plan
    finish_later(composition, story, log)
    with suppress(FileNotFoundError):  # they are done by now
        markers.set_mark(paths, plan.subject, markers.RELEASED)
    if read_both(paths, plan.key) is None:
        markers.clear(paths, plan.subject)


def _in_hook(home: WayBack, deadline: Deadline) -> None:
    """The first part; when others have what it needs for too long, the detached part does it as well."""
    try:
        home.run(Part.HOOK, seconds=deadline.left)
    except VfioctlError as error:
        home.log.warning(f"{home.plan.subject}: the return goes on in the background: {error}", guest=home.plan.subject)


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
    steps = tuple(step for step in plan.held if step.id not in done)
    if not steps:
        return
    with composition.transaction(plan).reopen(lenient=False) as late:  # undone only where its intent was written
        late.engine.run_best_effort(steps, deadline=Deadline(STARTED_SECONDS))
    for failure in late.engine.warnings:
        log.warning(f"{plan.subject}: {failure.message}", guest=plan.subject, code=failure.code)
