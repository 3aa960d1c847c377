"""Whether a guest has its devices, as the machine tells, and what a start has to end before it begins."""

from __future__ import annotations

from vfioctl.compose import Composition
from vfioctl.errors import Refused, VfioctlError
from vfioctl.handoff import attempts, markers, notes
from vfioctl.handoff.attempts import Attempt
from vfioctl.host.host import Host
from vfioctl.log import Log
from vfioctl.paths import Paths
from vfioctl.txn.journal import Standing, Story, read_both
from vfioctl.txn.plan import Plan


def is_in_use(story: Story, host: Host) -> bool:
    """Whether the guest runs or anybody has its devices open: then there is nothing to bring home."""
    return user(story, host) is not None or bool(host.vfio_open(notes.devices(story.plan)))


def user(story: Story, host: Host) -> int | None:
    """The guest's QEMU while that has the devices, or may be about to open them; None when none does.

    Of a plan with devices the open node decides. It opens them after its memory is allocated, and `started` follows.
    """
    plan = story.plan
    qemu = host.qemu_of(plan.key, plan.subject)
    return qemu if qemu and (_has_open(qemu, plan, host) or attempts.of(host.paths, plan.subject, plan.key)) else None


def has_its_devices(story: Story, host: Host) -> bool:
    """Whether its QEMU runs and holds them, whatever the journal says: then they must not be taken away."""
    qemu = host.qemu_of(story.plan.key, story.plan.subject)
    return qemu is not None and _has_open(qemu, story.plan, host)


def _has_open(qemu: int, plan: Plan, host: Host) -> bool:
    """Whether `qemu` has a device of `plan` open, as far as one may see; true of a plan without any."""
    return not notes.devices(plan) or host.has_vfio_open(qemu, notes.devices(plan)) is not False


def starting(paths: Paths, story: Story) -> Attempt | None:
    """The attempt that has given the guest its devices, while its daemon may still be about to start QEMU."""
    if story.standing is not Standing.HELD:
        return None
    attempt = attempts.of(paths, story.plan.subject, story.plan.key)
    return attempt if attempt and attempt.may_go_on(paths) else None


def settle_former(composition: Composition, guest: str, uuid: str, log: Log, *, fds: tuple[int, ...] = ()) -> None:
    """Reconcile what an earlier run of this guest, or another guest of the same name, left open.

    The caller holds the lock of `uuid`, whose descriptor is in `fds`. Raises Refused("guest.unfinished") when it cannot
    be finished now.
    """
    former = markers.uuid_of(composition.paths, guest)
    if former and former != uuid:
        _refuse_damaged(composition.paths, guest, former)
        _finish_other(composition, former, guest, log)
    story = _refuse_damaged(composition.paths, guest, uuid)
    if story is None:
        return
    from vfioctl.txn import operation  # a start that finds nothing unfinished does without it
    from vfioctl.txn.settling import Case

    try:
        operation.settling(Case(composition, story, fds, log, hurried=True)).end()
    except VfioctlError as error:
        raise _unfinished(guest, str(error)) from error
    if read_both(composition.paths, uuid):
        raise _unfinished(guest, "A process still has its devices open.")


def _refuse_damaged(paths: Paths, guest: str, uuid: str) -> Story | None:
    """The story of `uuid`. Raises Refused with the way out where it cannot be read."""
    try:
        return read_both(paths, uuid)
    except VfioctlError as error:
        from vfioctl.handoff import damaged  # few hosts have one

        raise Refused(
            error.code, f"{guest} was not started: its last hand-off cannot be finished. {error.message}",
            state="Nothing was changed.", hints=damaged.way_out(paths, uuid),
        ) from error  # fmt: skip


def _finish_other(composition: Composition, former: str, guest: str, log: Log) -> None:
    from vfioctl.txn import recover

    try:
        recover.settle(composition, former, log=log, hurried=True)
    except VfioctlError as error:
        raise _unfinished(guest, str(error)) from error
    if read_both(composition.paths, former):
        raise _unfinished(guest, f"Another guest of this name ({former}) still runs with its devices.")
    markers.clear(composition.paths, guest)


def _unfinished(guest: str, why: str) -> Refused:
    return Refused(
        "guest.unfinished", f"{guest} was not started: its last hand-off is not finished. {why}",
        state="Nothing more was changed.", hints=("Finish it with: vfioctl recover", "See: vfioctl status"),
    )  # fmt: skip
