"""`reconnect`: the daemon is back and the guest still runs. Brings books and markers in line with the machine.

Takes no device from a guest, and leaves to a detached part whatever may need long.
"""

from __future__ import annotations

from collections.abc import Iterator

from vfioctl.compose import Composition
from vfioctl.errors import Refused, VfioctlError
from vfioctl.handoff import finish, in_use, markers, notes, release
from vfioctl.handoff.notes import guest_lock
from vfioctl.host.host import Host
from vfioctl.log import Log
from vfioctl.paths import Paths
from vfioctl.txn import generation
from vfioctl.txn.journal import Standing, Story, open_uuids, read_both
from vfioctl.txn.resources import resource_locks

LOCK_SECONDS = 1.0


def reconnect(composition: Composition, guest: str, log: Log) -> None:
    """Reconcile every hand-off of that name: the one whose QEMU runs, and what another guest of the name has left."""
    about = log.about(guest=guest)
    stories = tuple(_stories(composition.paths, guest, about))
    if not stories:
        markers.disarm(composition.paths, guest)
        about.warning(f"{guest} runs, and no journal tells what it was handed; see: vfioctl status")
    for story in stories:
        try:
            _reconcile(composition, story, about)
        except (VfioctlError, OSError) as error:
            about.warning(f"{guest}: its hand-off ({story.plan.key}) stays at {story.standing}: {error}")


def _stories(paths: Paths, guest: str, log: Log) -> Iterator[Story]:
    """The journals of guests of that name; one that cannot be read is said and passed over."""
    for uuid in open_uuids(paths):
        try:
            story = read_both(paths, uuid)
        except VfioctlError as error:
            log.warning(str(error), uuid=uuid)
            continue
        if story and story.plan.subject == guest:
            yield story


def _reconcile(composition: Composition, story: Story, log: Log) -> None:
    """Raises VfioctlError("lock.busy") while another process works on it: that one finishes it."""
    lock, plan = guest_lock(composition.paths, story.plan.key), story.plan
    lock.acquire(deadline=LOCK_SECONDS)
    with lock:
        now, host = read_both(composition.paths, plan.key), composition.machine().host()
        if now is None:
            return
        if now.boot_id != host.boot_id():
            log.warning(f"A hand-off of {plan.subject} from before the boot is open; finish it with: vfioctl recover")
        elif host.qemu_of(plan.key, plan.subject) is None:
            _left_by_another(composition, now, host, log)
        else:
            _runs(composition, now, host, log)


def _left_by_another(composition: Composition, story: Story, host: Host, log: Log) -> None:
    """No QEMU of this UUID runs, so the guest that libvirt found is another one of the same name."""
    plan = story.plan
    if pids := host.vfio_open(notes.devices(plan)):
        held = ", ".join(map(str, pids))
        log.warning(f"Another guest called {plan.subject} ({plan.key}) left its hand-off open, and process {held} has "
                    f"its devices; afterwards: vfioctl recover")  # fmt: skip
        return
    log.notice(f"Another guest called {plan.subject} ({plan.key}) left its hand-off open; it is finished now.")
    finish.finish_later(composition, story, log)


def _runs(composition: Composition, story: Story, host: Host, log: Log) -> None:
    plan, paths = story.plan, composition.paths
    given = story.standing is Standing.HELD
    if not given and in_use.has_its_devices(story, host):
        said = f"{plan.subject} has its devices, though its hand-off stood at {story.standing}: it counts as given."
        log.warning(said)
        _give(composition, story, log)
        given = True
    markers.restore(paths, plan)
    if given:
        markers.disarm(paths, plan.subject)
        release.run_late(composition, story, log)
    else:
        log.warning(f"{plan.subject} runs without the devices of a hand-off that stands at {story.standing}; they come "
                    f"home when it stops.")  # fmt: skip


def _give(composition: Composition, story: Story, log: Log) -> None:
    """Journal and holders say again what is so: the guest has everything, and nothing of it is undone."""
    plan, paths = story.plan, composition.paths
    with (
        resource_locks(paths, plan.resources, deadline=LOCK_SECONDS),
        composition.transaction(plan).reopen() as transaction,
    ):
        transaction.journal.standing(Standing.HELD)
        for step in plan.changes:
            try:
                transaction.ledger.join(step, plan.key, plan.subject)
            except Refused as error:
                log.warning(f"{plan.subject}: {error}")
        generation.bump(paths)
    markers.take(paths, plan.subject, markers.UNDONE_BY_SH)
