"""Ends an operation whose process is gone, by what its plan says of that. Needs neither its plugin nor its name.

Trusts the machine, not the journal: each undo asks before it changes anything.
"""

from __future__ import annotations

import time

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import Refused, StepFailed, VfioctlError
from vfioctl.frozen import replace
from vfioctl.txn.clock import Deadline
from vfioctl.txn.engine import pending
from vfioctl.txn.journal import Standing, read_both
from vfioctl.txn.locks import plan_locks
from vfioctl.txn.plan import Action, Unfinished
from vfioctl.txn.resources import operation_lock
from vfioctl.txn.runner import LOCK_SECONDS, forget, keep, name_of
from vfioctl.txn.step import Lifetime

if TYPE_CHECKING:
    from vfioctl.txn.clock import Stopwatch
    from vfioctl.txn.engine import Failure
    from vfioctl.txn.journal import Story
    from vfioctl.txn.node import Node
    from vfioctl.txn.step import Step
    from vfioctl.txn.transaction import Transaction

QUEUED_SECONDS = 30.0  # in which the process of an operation that waits for it has begun
NOTHING = "Nothing was left to do."
CAME_FAR = (Standing.HELD, Standing.RETURNING)


def settle(node: Node, key: str, *, patience: float = 0.0, watch: Stopwatch | None = None) -> str:
    """End the operation `key`; returns one sentence about what was done.

    Raises Busy while a process works on it (`patience`: seconds to wait for that), Refused("operation.queued",
    "operation.left"), and VfioctlError("operation.unfinished") with what is left; the journal is kept then.
    """
    lock = operation_lock(node.paths, key)
    lock.acquire(deadline=patience)
    with lock:
        story = read_both(node.paths, key)
        if story is None:
            return NOTHING
        if story.standing is Standing.QUEUED:
            return _drop(node, story)
        with (
            plan_locks(node.paths, story.plan, deadline=LOCK_SECONDS, beside_ruins=True) as fds,
            node.transaction(story.plan, (lock.fd, *fds), watch=watch) as transaction,
        ):  # fmt: skip
            return _Settling(node, story, transaction).end()


def drop(node: Node, key: str) -> None:
    """Forget an operation whose process has not begun yet. Raises Busy, Refused("operation.begun")."""
    lock = operation_lock(node.paths, key)
    lock.acquire()
    with lock:
        story = read_both(node.paths, key)
        if story is not None and story.standing is not Standing.QUEUED:
            raise Refused("operation.begun", f"{name_of(story.plan)} has begun.", state="Nothing was changed.")
        if story is not None:
            forget(node, story.plan)


def _drop(node: Node, story: Story) -> str:
    """Nothing of it has begun; its process gets some time to come."""
    rebooted = story.boot_id != node.machine().host().boot_id()
    if not rebooted and 0 <= time.time() - story.started < QUEUED_SECONDS:
        raise Refused(
            "operation.queued", f"{name_of(story.plan)} has not begun yet; its process is about to.",
            state="Nothing was changed.", hints=(f"See: vfioctl operation show {story.plan.key}",),
        )  # fmt: skip
    forget(node, story.plan)
    return f"{name_of(story.plan)} never began; it is dropped."


class _Settling:
    """One operation that is being ended; the caller has its locks."""

    def __init__(self, node: Node, story: Story, transaction: Transaction) -> None:
        self.node = node
        self.story = story
        self.plan = story.plan
        self.transaction = transaction
        self.rebooted = story.boot_id != node.machine().host().boot_id()

    def end(self) -> str:
        unfinished = self.plan.unfinished
        if unfinished is Unfinished.LEAVE:
            raise self._left()
        if unfinished is Unfinished.FINISH and self.story.standing is Standing.APPLYING:
            return self._ended(self._finish(), "was finished")
        if self.story.standing in CAME_FAR:
            return self._ended(self._give_back(), "was taken back")
        return self._ended(self._undo(), "was undone")

    def _undo(self) -> tuple[Failure, ...]:
        """What was begun, in reverse; after a restart of the host only what lies on a disk."""
        transaction, begun = self.transaction.reopen(Standing.UNDOING), self.story.begun(Action.APPLY)
        deadline = Deadline(self.plan.limits.undo)
        if not self.rebooted:
            return transaction.undo(begun, deadline=deadline)
        return transaction.engine.undo_steps(self._lasting(begun), self.plan.key, deadline=deadline)

    def _lasting(self, begun: tuple[str, ...]) -> tuple[Step, ...]:
        return tuple(
            step for step in self.plan.changes if step.id in begun and step.lifetime is Lifetime.DISK
        )

    def _give_back(self) -> tuple[Failure, ...]:
        transaction = self.transaction.reopen(Standing.RETURNING)
        undone, again = self.story.finished(Action.UNDO), self.story.finished(Action.APPLY)
        items = pending(self.plan, undone, again - {step.id for step in self.plan.steps}, None)
        if self.rebooted:
            lasting = {step.id for step in self._lasting(self.story.begun(Action.APPLY))}
            items = tuple(item for item in items if item.action is Action.APPLY or item.step in lasting)
        return transaction.give_back(items, deadline=Deadline(self.plan.limits.finish))

    def _finish(self) -> tuple[Failure, ...]:
        """Apply what is left; what a restart has undone by itself is applied once more."""
        done = self.story.finished(Action.APPLY)
        gone = {step.id for step in self.plan.steps if self.rebooted and step.lifetime is Lifetime.BOOT}
        rest = tuple(step for step in self.plan.steps if step.id not in done or step.id in gone)
        engine = self.transaction.reopen(Standing.APPLYING, lenient=False).engine
        failure = engine.apply(replace(self.plan, steps=rest), deadline=Deadline(self.plan.limits.prepare))
        return (failure,) if failure else ()

    def _ended(self, failures: tuple[Failure, ...], what: str) -> str:
        left = self.transaction.engine.left
        when = "after a restart of the host it" if self.rebooted else "it"
        said = " ".join((f"{name_of(self.plan)} was interrupted; {when} {what}.", *left))
        if failures:
            error = self._unfinished(failures)
            keep(self.node, self.transaction, error, "")
            raise error
        keep(self.node, self.transaction, None, said)
        self.transaction.forget()
        return said

    def _unfinished(self, failures: tuple[Failure, ...]) -> VfioctlError:
        return StepFailed(
            "operation.unfinished",
            f"{name_of(self.plan)} could not be ended: " + "; ".join(failure.message for failure in failures),
            state=" ".join(("The journal is kept.", *self.transaction.engine.left)),
            hints=("Try again with: vfioctl recover",),
        )  # fmt: skip

    def _left(self) -> Refused:
        return Refused(
            "operation.left", f"{name_of(self.plan)} was interrupted, and nothing but a person may end it.",
            state="Nothing was changed.",
            hints=(f"See what it has done with: vfioctl operation show {self.plan.key}",
                   f"Then put its journal aside with: vfioctl recover --discard {self.plan.key}"),
        )  # fmt: skip
