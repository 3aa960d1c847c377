"""Runs an operation: here, or in a process of its own. An operation is a journal and a process; knows none by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import Refused, VfioctlError
from vfioctl.frozen import frozen
from vfioctl.txn import history
from vfioctl.txn.clock import Deadline
from vfioctl.txn.journal import Standing, open_uuids, read_both
from vfioctl.txn.locks import plan_locks
from vfioctl.txn.resources import operation_lock
from vfioctl.txn.stops import listening

if TYPE_CHECKING:
    from vfioctl.files import Lock
    from vfioctl.txn.clock import Stopwatch
    from vfioctl.txn.engine import Failure
    from vfioctl.txn.node import Node
    from vfioctl.txn.plan import Plan
    from vfioctl.txn.transaction import Transaction

    Again = Callable[[], Plan]

LOCK_SECONDS = 30.0  # with others who have what it needs


@frozen
class Ended:
    """How an operation ended: `error` is None where it did what it was asked for; `warnings` are best-effort steps."""

    plan: Plan
    error: VfioctlError | None = None
    warnings: tuple[str, ...] = ()
    left: tuple[str, ...] = ()  # what an undo found that the operation had not made


def here(
    node: Node, plan: Plan, *, again: Again | None = None, stop: Callable[[], bool] = bool,
    watch: Stopwatch | None = None, shared: bool = False,
) -> Ended:
    """Run `plan` in this process. What fails is undone. Raises Refused with nothing touched, Busy.

    `again` gives the same plan by the facts once its locks are held: whoever had them has changed what it found. A
    process that does more is `shared`: who cancels the plan must not end that.
    """
    refuse(plan)
    with (
        plan_locks(node.paths, plan, deadline=LOCK_SECONDS) as fds, _own_lock(node, plan) as lock,
        listening(node.paths, plan.key) if shared else nullcontext(stop) as asked,
    ):  # fmt: skip
        plan = _by_now(plan, again)
        with node.transaction(plan, (lock.fd, *fds), watch=watch, stop=asked) as transaction:
            transaction.begin(node.machine().host().boot_id())
            return _carry_out(node, transaction)


def queue(node: Node, plan: Plan, *, again: Again | None = None) -> None:
    """Commit `plan` for a process of its own, which `run` is. Raises Refused with nothing touched, Busy."""
    refuse(plan)
    with (
        plan_locks(node.paths, plan, deadline=LOCK_SECONDS), _own_lock(node, plan),
        node.transaction(_by_now(plan, again)) as waiting,
    ):  # fmt: skip
        waiting.begin(node.machine().host().boot_id())
        waiting.journal.standing(Standing.QUEUED)


def _by_now(plan: Plan, again: Again | None) -> Plan:
    """The plan to run. Raises Refused where something speaks against it by now."""
    if again is None:
        return plan
    plan = again()
    refuse(plan)
    return plan


@contextmanager
def _own_lock(node: Node, plan: Plan) -> Iterator[Lock]:
    """The lock of a new operation, taken last: who holds one and has no journal yet counts as a hook at work.

    Raises Refused("operation.key_taken"), Busy.
    """
    lock = operation_lock(node.paths, plan.key)
    lock.acquire()
    with lock:
        must_be_new(node, plan.key)
        yield lock


def must_be_new(node: Node, key: str) -> None:
    """Raise Refused("operation.key_taken") where one has `key`: what its journal knows nobody could undo any more."""
    if key in open_uuids(node.paths):
        raise Refused(
            "operation.key_taken", f"The key {key} is that of an operation that is not finished.",
            state="Nothing was changed.", hints=(f"See what has it with: vfioctl operation show {key}",),
        )  # fmt: skip


def run(
    node: Node, key: str, *, stop: Callable[[], bool] = bool, watch: Stopwatch | None = None
) -> Ended:
    """Run what `queue` has committed as `key`. Raises Refused("operation.unknown", "operation.begun"), Busy.

    What keeps it from beginning is its end: that is kept in the history, and the operation forgotten.
    """
    lock = operation_lock(node.paths, key)
    lock.acquire(deadline=LOCK_SECONDS)
    with lock:
        story = read_both(node.paths, key)
        if story is None:
            raise Refused("operation.unknown", f"There is no operation {key}.", state="Nothing was changed.")
        if story.standing is not Standing.QUEUED:
            raise Refused(
                "operation.begun", f"The operation {key} has begun already: it stands at {story.standing}.",
                state="Nothing was changed.", hints=("Finish what was interrupted with: vfioctl recover",),
            )  # fmt: skip
        with ExitStack() as held:
            try:
                fds = held.enter_context(plan_locks(node.paths, story.plan, deadline=LOCK_SECONDS))
                transaction = node.transaction(story.plan, (lock.fd, *fds), watch=watch, stop=stop)
                held.enter_context(transaction).reopen(Standing.APPLYING, lenient=False)
            except (VfioctlError, OSError) as error:
                _never_began(node, story.plan, error)
                raise
            return _carry_out(node, transaction)


def _never_began(node: Node, plan: Plan, error: VfioctlError | OSError) -> None:
    if isinstance(error, OSError):
        error = Refused("journal.unwritable", f"The journal cannot be written: {error}.")
    with suppress(OSError), node.transaction(plan).reopen() as transaction:
        keep(node, transaction, error, "")
        transaction.forget()


def apart(node: Node, plan: Plan, *, again: Again | None = None) -> None:
    """Let a process of its own run `plan`: a transient unit where root may start one, else a detached process.

    Returns when it was started. Raises what `queue` raises; nothing stays of an operation that cannot be started.
    """
    from vfioctl.txn.background import spawn

    queue(node, plan, again=again)
    try:
        spawn(node, ("run", plan.key, *filter(None, (node.paths.own,))), name=f"vfioctl-run-{plan.key}")
    except (VfioctlError, OSError):
        forget(node, plan)
        raise


def forget(node: Node, plan: Plan) -> None:
    """Forget an operation of which nothing has begun; the caller has its lock."""
    with node.transaction(plan).reopen() as transaction:
        transaction.forget()


def refuse(plan: Plan) -> None:
    """Raise Refused with everything that blocks `plan`, at once."""
    if said := plan.blocks:
        raise Refused(
            said[0].code, f"{name_of(plan)} was refused: " + " ".join(finding.message for finding in said),
            state="Nothing was changed.", hints=tuple(dict.fromkeys(one.hint for one in said if one.hint)),
        )  # fmt: skip


def name_of(plan: Plan) -> str:
    """The operation in a sentence: what it is, and about what."""
    return f"{plan.operation} {plan.subject}".strip()


def _carry_out(node: Node, transaction: Transaction) -> Ended:
    plan, engine = transaction.plan, transaction.engine
    failure = transaction.apply(deadline=Deadline(plan.limits.prepare)) or _hold(transaction)
    error = _undone(node, transaction, failure) if failure else None
    if failure is None and not plan.way_back:
        transaction.forget()
    warnings = tuple(warning.message for warning in engine.warnings)
    keep(node, transaction, error, "; ".join((*warnings, *engine.left)) or "done")
    return Ended(plan, error, warnings, tuple(engine.left))


def _hold(transaction: Transaction) -> Failure | None:
    """What has a way back stays open until somebody runs it. What cannot be said so could not be brought back."""
    if not transaction.plan.way_back:
        return None
    from vfioctl.txn.engine import Failure
    from vfioctl.txn.plan import Action

    try:
        transaction.hold()
    except OSError as error:
        return Failure(transaction.plan.steps[-1], Action.APPLY, error)
    return None


def _undone(node: Node, transaction: Transaction, failure: Failure) -> VfioctlError:
    """Undo what was begun; the error says what failed and how all stands. Its journal goes where nothing is left."""
    from vfioctl.txn.engine import undone
    from vfioctl.txn.transaction import begun

    plan = transaction.plan
    transaction.journal.standing(Standing.UNDOING)
    names = begun(read_both(node.paths, plan.key))
    secondary = transaction.undo(names, deadline=Deadline(plan.limits.undo))
    if not secondary:
        transaction.forget()
    said = f"{name_of(plan)} failed at {failure.step.id}: {failure.cause}"
    return undone(said, failure, secondary, transaction.engine.left, _put_back(transaction.engine.for_good))


def _put_back(for_good: Sequence[str]) -> str:
    """How things are after an undo that did all it could; `for_good` are the steps that nothing takes back."""
    if not for_good:
        return "Everything was put back."
    return f"Everything was put back but what nobody can take back: {', '.join(for_good)}."


def keep(node: Node, transaction: Transaction, error: VfioctlError | None, said: str) -> None:
    """Keep how it went in the history. A full disk is no failure of the operation."""
    plan = transaction.plan
    with suppress(OSError):
        history.keep_run(
            node.paths, transaction.engine.watch.times, subject=plan.subject, key=plan.key, event=plan.operation,
            operation=plan.operation, message=error.message if error else said, error=error,
        )  # fmt: skip
