"""`prepare`: plan, check everything, commit once, arm the dead-man, apply; undo and refuse on any failure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from vfioctl import files
from vfioctl.checking import TYPE_CHECKING
from vfioctl.compose import Composition
from vfioctl.errors import Busy, Refused, VfioctlError
from vfioctl.events.model import Domain
from vfioctl.findings import Severity
from vfioctl.frozen import replace
from vfioctl.handoff import deadman, identity, markers, notes, others
from vfioctl.handoff.commit import commit, forget
from vfioctl.handoff.make_plan import Planned, make_plan, read_config
from vfioctl.handoff.notes import guest_lock
from vfioctl.handoff.outcome import Ending, keep
from vfioctl.limits import Limits
from vfioctl.log import Log
from vfioctl.txn import generation
from vfioctl.txn.clock import Allowance, Deadline, Stopwatch
from vfioctl.txn.engine import Engine, Failure, undone
from vfioctl.txn.journal import Standing, read_both
from vfioctl.txn.plan import Action, Plan
from vfioctl.txn.resources import resource_locks
from vfioctl.wait import until

if TYPE_CHECKING:
    from vfioctl.txn.transaction import Transaction

HELD = "resource.held"
REPLANS = 3  # at least
FEW = 20  # findings that a refusal says, and warnings that a start does


def prepare(
    composition: Composition, domain: Domain, log: Log, *, incoming: bool = False, stop: Callable[[], bool] = bool
) -> Plan:
    """Hand the devices of `domain` over; returns the plan that was carried out. `stop` says whether to give up.

    Raises Refused with nothing touched, StepFailed after an undo, Stuck when the kernel does not return.
    """
    begun = False
    try:
        with _own_lock(composition, domain) as lock:
            others.settle_former(composition, domain.name, domain.uuid, log, fds=(lock.fd,))
            config, known = read_config(composition, domain.name, log)

            allowance = Allowance(min(config.deadlines.plan, config.deadlines.prepare))

            def make() -> Planned:
                with allowance.taking() as seconds:
                    planned = make_plan(composition, domain, config, known, incoming=incoming, seconds=seconds)
                return replace(planned, took=allowance.spent)

            waiting = Deadline(config.deadlines.prepare)
            with _settled_plan(composition, make, log, waiting) as (planned, fds):
                begun = True
                return _carry_out(composition, planned, log, stop, (lock.fd, *fds))
    except Refused as error:
        keep(composition.paths, log, Ending(domain.name, domain.uuid, "prepare", error=error))
        raise
    except OSError as error:
        if begun or error.errno not in files.NO_ROOM:
            raise
        refusal = _no_room(domain.name, error)
        keep(composition.paths, log, Ending(domain.name, domain.uuid, "prepare", error=refusal))
        raise refusal from error


def _no_room(guest: str, error: OSError) -> Refused:
    """The refusal where /run is full or cannot be written, before the journal could say so."""
    place = error.filename or "A file of vfioctl's"
    return Refused(
        "run.unwritable", f"{guest} was not started: {place} cannot be made or opened: {error.strerror}.",
        state="Nothing was changed.", hints=("See what is full with: df /run; df --inodes /run",),
    )  # fmt: skip


def _own_lock(composition: Composition, domain: Domain) -> files.Lock:
    """The guest's lock, held; the detached part of its last return may still have it for a while."""
    lock = guest_lock(composition.paths, domain.uuid)
    try:
        lock.acquire(deadline=Limits().prepare)
    except Busy as error:
        raise _refusal(domain.name, "its last hand-off still goes on", error) from error
    return lock


def _refusal(guest: str, why: str, cause: VfioctlError) -> Refused:
    return Refused(
        cause.code, f"{guest} was not started: {why}. {cause.message}", state="Nothing was changed.", hints=cause.hints
    )


@contextmanager
def _settled_plan(
    composition: Composition, make: Callable[[], Planned], log: Log, waiting: Deadline
) -> Iterator[tuple[Planned, tuple[int, ...]]]:
    """A plan without blocks, and the locks of its resources: made anew when another hand-off moved in between.

    A baseline must not be taken from a host that another transaction was changing. Those that are under way are waited
    for, all of them together until the deadline `waiting`.
    """
    tries, hopeful = 0, True
    while tries < REPLANS or (hopeful and waiting.left):
        tries += 1
        before = generation.current(composition.paths)
        planned = make()
        if _came_home(composition, planned.plan, log, waiting):
            continue
        refuse(planned.plan)
        with _resources(composition, planned.plan, waiting) as fds:
            unsettled = others.unsettled(composition.paths, planned.plan, log)
            # Unrelated hand-offs count as well, so the plan is made anew under the locks, where nothing of it moves.
            now = planned if before == generation.current(composition.paths) or unsettled else make()
            refuse(now.plan)
            if not unsettled and set(now.plan.resources) <= set(planned.plan.resources):
                yield now, fds
                return
        hopeful = all(_settle_other(composition, planned.plan, uuid, log, waiting) for uuid in unsettled)
    raise Refused(
        "lock.busy", f"{planned.plan.subject} was not started: other hand-offs keep changing what it needs.",
        state="Nothing was changed.", hints=("See what they do with: vfioctl status",),
    )  # fmt: skip


@contextmanager
def _resources(composition: Composition, plan: Plan, waiting: Deadline) -> Iterator[tuple[int, ...]]:
    """The locks of everything that `plan` changes, waited for while another hand-off has them."""
    with ExitStack() as stack:
        try:
            fds = stack.enter_context(resource_locks(composition.paths, plan.resources, deadline=waiting.left))
        except Busy as error:
            raise _refusal(plan.subject, "another hand-off is at work on what it needs", error) from error
        yield fds


def _came_home(composition: Composition, plan: Plan, log: Log, waiting: Deadline) -> bool:
    """Whether all that kept the plan's devices were other guests' returns, and those have come to their end now."""
    if {finding.code for finding in plan.blocks} != {HELD}:
        return False
    try:
        returning = others.returning(composition.paths, plan)
        return bool(returning) and all(_settle_other(composition, plan, uuid, log, waiting) for uuid in returning)
    except Refused as error:
        log.warning(f"{plan.subject}: {error}", guest=plan.subject)
        return False


def _settle_other(composition: Composition, plan: Plan, uuid: str, log: Log, waiting: Deadline) -> bool:
    """Finish what a killed process left of another hand-off; one that a process works on is waited for.

    Returns whether it is settled now: not where its guest has the devices, whatever its journal says.
    """

    from vfioctl.txn import recover  # few starts meet one

    def is_settled() -> bool:
        return uuid not in others.unsettled(composition.paths, plan)

    def is_tried() -> bool:
        try:
            if not is_settled():
                recover.settle(
                    composition, uuid, log=log, hurried=True, patience=waiting.left, unless=is_settled
                )
        except Busy:
            return False
        except VfioctlError as error:
            raise _refusal(plan.subject, "what another guest left cannot be finished", error) from error
        return True

    return until(is_tried, waiting.left) and is_settled()


def refuse(plan: Plan) -> None:
    """Raise Refused with everything that blocks, at once: as much as somebody reads in a sentence of libvirt's."""
    if not plan.blocks:
        return
    said, more = plan.blocks[:FEW], len(plan.blocks) - FEW
    rest, see = ((f"And {more} more are in the way.",), (_see(plan),)) if more > 0 else ((), ())
    raise Refused(
        said[0].code,
        f"{plan.subject} was not started: " + " ".join((*(finding.message for finding in said), *rest)),
        state="Nothing was changed.",
        hints=tuple(dict.fromkeys((*(finding.hint for finding in said if finding.hint), *see))),
    )


def _see(plan: Plan) -> str:
    from vfioctl.shell import argument  # few refusals need it

    return f"See everything with: vfioctl plan {argument(plan.subject)}"


def _carry_out(
    composition: Composition, planned: Planned, log: Log, stop: Callable[[], bool], fds: tuple[int, ...]
) -> Plan:
    plan = planned.plan
    _warn(plan, log)
    watch = Stopwatch()
    with composition.transaction(plan, fds, watch=watch, stop=stop) as transaction:
        commit(transaction, planned.request.host.boot_id())
        with watch.part("dead-man"):
            deadman.arm(composition, plan, log)
        deadline = Deadline(plan.limits.prepare - planned.took)
        failure = transaction.apply(deadline=deadline) or _mark_given(transaction)
        if failure:
            raise _undone(composition, transaction, failure, log)
    _given(composition, planned, transaction.engine, log)
    return plan


def _warn(plan: Plan, log: Log) -> None:
    """Say what does not block, as far as somebody reads it: `plan` shows the rest."""
    warnings = [finding for finding in plan.findings if finding.severity is Severity.WARN]
    for finding in warnings[:FEW]:
        log.warning(f"{plan.subject}: {finding.message}", guest=plan.subject, code=finding.code)
    if len(warnings) > FEW:
        log.warning(f"{plan.subject}: {len(warnings) - FEW} more warnings. {_see(plan)}", guest=plan.subject)


def _mark_given(transaction: Transaction) -> Failure | None:
    """Say that the guest has everything; where that cannot be written, nobody could bring it home later."""
    try:
        transaction.hold()
    except OSError as error:
        if steps := transaction.plan.steps:
            return Failure(steps[-1], Action.APPLY, error)
    return None


def _given(composition: Composition, planned: Planned, engine: Engine, log: Log) -> None:
    plan = planned.plan
    for failure in engine.warnings:
        log.warning(f"{plan.subject}: {failure.message}", guest=plan.subject, code=failure.code)
    if planned.request.domain.pci_addresses:
        _keep_mode(composition, planned, log)
    if identity.unpinned(composition.paths, plan.key, planned.request.devices):
        _pin(composition, planned, log)
    message = f"{', '.join(notes.devices(plan)) or 'nothing'} given"
    keep(composition.paths, log, Ending(plan.subject, plan.key, "prepare", tuple(engine.watch.times), message=message))


def _keep_mode(composition: Composition, planned: Planned, log: Log) -> None:
    from vfioctl.handoff import managed  # only guests with a hostdev need it

    guest = planned.plan.subject
    try:
        managed.keep(composition.paths, planned.request.domain)
    except OSError as error:
        log.warning(f"{guest}: how its cards are managed could not be kept: {error}.", guest=guest)


def _pin(composition: Composition, planned: Planned, log: Log) -> None:
    """Pin the cards. The guest has them by now: a disk that is full is no reason to fail its start."""
    plan = planned.plan
    try:
        identity.pin(composition.paths, plan.key, plan.subject, planned.request.devices)
    except OSError as error:
        log.warning(f"{plan.subject}: its cards could not be pinned: {error}.", guest=plan.subject)
        return
    log.notice(f"{plan.subject}: its cards are pinned now: {', '.join(notes.devices(plan))}.", guest=plan.subject)


def _undone(composition: Composition, transaction: Transaction, failure: Failure, log: Log) -> VfioctlError:
    """Undo everything, keep how it went, and return the error that the user reads last."""
    plan, engine = transaction.plan, transaction.engine
    transaction.journal.standing(Standing.UNDOING)
    begun = tuple(step.id for step in plan.steps if step.id in set(_begun(composition, plan)))
    secondary = transaction.undo(begun, deadline=Deadline(plan.limits.undo))
    error = _explain(plan, failure, secondary, engine)
    if not secondary:
        forget(transaction)
    else:
        markers.disarm(composition.paths, plan.subject)
    keep(composition.paths, log, Ending(plan.subject, plan.key, "prepare", tuple(engine.watch.times), error=error))
    return error


def _begun(composition: Composition, plan: Plan) -> tuple[str, ...]:
    story = read_both(composition.paths, plan.key)
    return story.begun(Action.APPLY) if story else ()


def _explain(plan: Plan, failure: Failure, secondary: tuple[Failure, ...], engine: Engine) -> VfioctlError:
    """One error: what failed, on which device, how the host stands, what to do next."""
    message = f"{plan.subject} was not started: {failure.step.id} on {failure.step.resource} failed: {failure.cause}"
    lost = plan.point_of_no_return
    if any(f"{one} ".startswith(f"{lost} ") for one in engine.for_good):  # one that was begun may have changed nothing
        back = "The host is back with its login screen; the session that was ended is not."
        return undone(message, failure, secondary, engine.left, back)
    return undone(message, failure, secondary, engine.left)
