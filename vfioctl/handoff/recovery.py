"""Finishes what a crash, a kill or a power cut interrupted. Trusts the machine, not the journal."""

from __future__ import annotations

from collections.abc import Callable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.compose import Composition
from vfioctl.errors import Refused, VfioctlError
from vfioctl.handoff import attempts, markers, notes
from vfioctl.handoff.attempts import Attempt
from vfioctl.handoff.notes import guest_lock
from vfioctl.host.host import Host
from vfioctl.host.processes import comm
from vfioctl.log import Log
from vfioctl.paths import Paths
from vfioctl.txn.clock import Deadline, Stopwatch
from vfioctl.txn.journal import Standing, Story, read_both
from vfioctl.txn.plan import Action, Plan
from vfioctl.txn.resources import DOMAIN

if TYPE_CHECKING:
    from vfioctl.handoff.way_back import WayBack

PATIENCE = 10.0  # with others who have what one step needs


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


def recover(
    composition: Composition, uuid: str, log: Log, *, watch: Stopwatch | None = None, in_hook: bool = False,
    spare_start: bool = False, patience: float = 0.0, unless: Callable[[], bool] = bool,
) -> str:
    """Finish the hand-off of `uuid`; returns one sentence about what was done.

    `in_hook`: libvirt waits, so a return gets no more time than a release. `spare_start`: a guest whose QEMU is about
    to come keeps its devices. `patience`: seconds to wait for a process that works on it; `unless`
    is asked after that whether it is settled, since that process may have been a start that has given the devices.
    Raises Busy while another process works on it or has what it needs, VfioctlError("return.unfinished") with what is
    left, and Refused("guest.starting").
    """
    lock = guest_lock(composition.paths, uuid)
    lock.acquire(deadline=patience)
    with lock:
        story = read_both(composition.paths, uuid)
        if story is None or unless():
            return "Nothing was left to do."
        if story.plan.operation != notes.HAND_OFF:
            if in_hook:
                _refuse_libvirt(story)
            lock.release()
            return _another(composition, uuid, watch, patience)
        if spare_start:
            _refuse_starting(composition, story)
        from vfioctl.handoff.way_back import WayBack  # a start that finds nothing unfinished does without it

        home = WayBack(composition, story, (lock.fd,), log, watch=watch, patience=PATIENCE)
        said = settle(home, in_hook=in_hook)
    if in_hook or not home.unseen:
        return said
    home.prove()
    return _home(home)


def _refuse_libvirt(story: Story) -> None:
    """Raise Refused for an operation that changes a domain: libvirt, which waits for the hook, would not answer it."""
    if any(name.startswith(DOMAIN) for name in story.plan.resources):
        from vfioctl.txn.runner import name_of

        raise Refused(
            "guest.in_operation", f"{name_of(story.plan)} is not finished, and needs libvirt for that.",
            state="Nothing was changed.", hints=("Finish it with: vfioctl recover",),
        )  # fmt: skip


def _another(composition: Composition, key: str, watch: Stopwatch | None, patience: float) -> str:
    from vfioctl.txn.recover import settle as settle_other  # few hosts have one

    return settle_other(composition, key, patience=patience, watch=watch)


def starting(paths: Paths, story: Story) -> Attempt | None:
    """The attempt that has given the guest its devices, while its daemon may still be about to start QEMU."""
    if story.standing is not Standing.HELD:
        return None
    attempt = attempts.of(paths, story.plan.subject, story.plan.key)
    return attempt if attempt and attempt.may_go_on(paths) else None


def _refuse_starting(composition: Composition, story: Story) -> None:
    attempt = starting(composition.paths, story)
    if attempt is None or is_in_use(story, composition.machine().host()):
        return
    from vfioctl.shell import argument  # the hook path comes here too, and never refuses it

    guest = story.plan.subject
    raise Refused(
        "guest.starting",
        f"{guest} is being started by {comm(composition.paths, attempt.daemon)} (process {attempt.daemon}): it has its "
        f"devices, and QEMU is about to come.",
        state="Nothing was changed.",
        hints=("Wait until it runs; if it does not come, its devices return by themselves.",
               f"Or take them back at once with: vfioctl recover --abort {argument(guest)}"),
    )  # fmt: skip


def settle(home: WayBack, *, in_hook: bool = False) -> str:
    """`recover` for a caller that holds the guest's lock."""
    story, host = home.story, home.composition.machine().host()
    if story.boot_id != host.boot_id():
        from vfioctl.handoff import reboot  # once in a boot

        return reboot.settle(home, in_hook=in_hook)
    came_so_far = story.standing in (Standing.HELD, Standing.RETURNING)
    if user(story, host) is not None if came_so_far else has_its_devices(story, host):
        return f"{story.plan.subject} is running with its devices."
    if came_so_far:
        _refuse_in_use(story.plan, host)
    if story.standing in (Standing.APPLYING, Standing.UNDOING):
        return _undo(home, in_hook=in_hook)
    budget = story.plan.limits
    if not home.run(None, seconds=budget.release if in_hook else budget.finish, accept_others=True):
        raise home.leave_open("recover")
    home.close("recover")
    return _home(home)


def _home(home: WayBack) -> str:
    return " ".join((f"{home.plan.subject}: everything is home{home.but}.", *home.left))


def _refuse_in_use(plan: Plan, host: Host) -> None:
    """vfio-pci waits in an unbind until whoever has the device open has closed it."""
    if pids := host.vfio_open(notes.devices(plan)):
        held = ", ".join(f"{pid} ({comm(host.paths, pid)})" for pid in pids)
        raise VfioctlError(
            "device.in_use", f"{plan.subject}: process {held} has its devices open, and is not its QEMU.",
            state="Nothing of it was brought home.", hints=("End that process, then: vfioctl recover",),
        )  # fmt: skip


def _undo(home: WayBack, *, in_hook: bool) -> str:
    """A prepare that never ended: undo what it began, both scopes, in reverse. In a hook the next start follows."""
    plan = home.plan
    with home.transaction().reopen(Standing.UNDOING) as transaction:
        engine, begun = transaction.engine, home.story.begun(Action.APPLY)
        home.failures += transaction.undo(begun, deadline=Deadline(plan.limits.undo))
        if not home.failures and not in_hook:
            engine.run_best_effort(plan.second_looks(begun), deadline=Deadline(plan.limits.finish))
    home.tell_left(engine)
    for failure in engine.warnings:
        home.log.warning(f"{plan.subject}: {failure.message}", guest=plan.subject, code=failure.code)
    if home.failures:
        raise home.leave_open("recover", f"{plan.subject}: not everything of the interrupted hand-off could be undone")
    home.close("recover")
    return " ".join((f"{plan.subject}: the interrupted hand-off was undone.", *home.left))


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
    from vfioctl.handoff.way_back import WayBack

    try:
        settle(WayBack(composition, story, fds, log, patience=PATIENCE), in_hook=True)
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
    try:
        recover(composition, former, log, in_hook=True)
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
