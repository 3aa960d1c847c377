"""Ends one operation whose process is gone, by what its plan says of that. Needs neither its plugin nor its name.

Trusts the machine, not the journal: each undo asks before it changes anything. An operation may refine what is done.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import Refused, StepFailed, VfioctlError
from vfioctl.frozen import frozen, replace
from vfioctl.txn.clock import Deadline, Stopwatch
from vfioctl.txn.engine import Failure, Turn, pending
from vfioctl.txn.journal import Standing
from vfioctl.txn.plan import Action, Unfinished
from vfioctl.txn.step import Lifetime, Scope

if TYPE_CHECKING:
    from vfioctl.log import Log
    from vfioctl.txn.engine import Engine
    from vfioctl.txn.journal import Story
    from vfioctl.txn.node import Node
    from vfioctl.txn.plan import Plan
    from vfioctl.txn.step import Step
    from vfioctl.txn.transaction import Transaction

CAME_FAR = (Standing.HELD, Standing.RETURNING)
DONE = {
    Unfinished.UNDO: "was undone", Unfinished.RETURN: "was taken back", Unfinished.FINISH: "was finished",
}  # fmt: skip


@frozen
class Case:
    """What is to be ended. The caller has the operation's lock, whose descriptor is in `fds`.

    `hurried`: libvirt waits for this process. `spare`: what somebody is about to use is left to them. `given_up`:
    whoever asked for it wants no more of it.
    """

    node: Node
    story: Story
    fds: tuple[int, ...]
    log: Log
    watch: Stopwatch | None = None
    hurried: bool = False
    spare: bool = False
    given_up: bool = False


class Settling:
    """How one operation is ended. One of a sort that has rules of its own overrides what differs."""

    turn: Turn | None = None  # what holds the locks of one step, where `locks` does not hold those of all

    def __init__(self, case: Case) -> None:
        self.case = case
        self.node = case.node
        self.story = case.story
        self.fds = case.fds
        self.log = case.log
        self.watch = case.watch or Stopwatch()
        self.failures: list[Failure] = []
        self.left: list[str] = []  # what stays since it did not make it
        self._rebooted: bool | None = None

    @property
    def plan(self) -> Plan:
        return self.story.plan

    @property
    def is_rebooted(self) -> bool:
        """Whether the host was restarted since it began: what lived in that boot is gone."""
        if self._rebooted is None:
            self._rebooted = self.story.boot_id != self.node.machine().host().boot_id()
        return self._rebooted

    def end(self) -> str:
        """End it as `verdict` says; returns one sentence about what was done.

        Raises Busy, what `verdict` raises, and what `failed` returns, with the journal kept.
        """
        with self.locks() as fds:
            self.fds += fds
            verdict = self.verdict()
            if verdict is Unfinished.UNDO:
                self.undo()
            elif verdict is Unfinished.RETURN:
                self.give_back()
            elif verdict is Unfinished.FINISH:
                self.finish()
            if self.failures:
                self._note(self.failures)
                raise self.failed(verdict)
            return self.ended(verdict)

    def afterwards(self, said: str) -> str:
        """What is seen of it once its lock is free again; returns the sentence, `said` unless that tells more."""
        return said

    # What an operation may have rules of its own for

    def locks(self) -> AbstractContextManager[tuple[int, ...]]:
        """Holds what is locked for all of it; yields the descriptors."""
        from vfioctl.txn.locks import plan_locks
        from vfioctl.txn.runner import LOCK_SECONDS

        return plan_locks(self.node.paths, self.plan, deadline=LOCK_SECONDS, beside_ruins=True)

    def verdict(self) -> Unfinished:
        """What is done with it; LEAVE where nothing is to do. Raises Refused where that is not for us to decide."""
        unfinished = self.unfinished
        if unfinished is Unfinished.LEAVE and not self._is_given_up:
            error = self._left_to_a_person()
            begun = self.story.begun(Action.APPLY)
            steps = [step for step in self.plan.steps if step.id in begun] or self.plan.steps
            self._note(Failure(step, Action.UNDO, error) for step in steps)
            raise error
        if self.case.hurried:
            self._refuse_libvirt()
        if unfinished is Unfinished.FINISH and self.story.standing is Standing.APPLYING and not self._is_given_up:
            return unfinished
        return Unfinished.RETURN if self.story.standing in CAME_FAR else Unfinished.UNDO

    @property
    def _is_given_up(self) -> bool:
        """Whether no more of it is to be done. What has begun a step that nothing takes back goes on to its end."""
        return self.case.given_up and self.plan.point_of_no_return not in self.story.begun(Action.APPLY)

    @property
    def unfinished(self) -> Unfinished:
        """What becomes of it."""
        return self.plan.unfinished

    def sentence(self, verdict: Unfinished) -> str:
        """What was done with it, in words."""
        from vfioctl.txn.runner import name_of

        when = "after a restart of the host it" if self.is_rebooted else "it"
        return f"{name_of(self.plan)} was interrupted; {when} {DONE[verdict]}."

    @property
    def lasting_seconds(self) -> float:
        """How long the undo of what outlives a boot may take."""
        return self.plan.limits.undo

    def undo(self) -> None:
        """Undo what was begun, in reverse; after a restart of the host only what lies on a disk."""
        begun, limits = self.story.begun(Action.APPLY), self.plan.limits
        with self.transaction().reopen(*() if self.is_rebooted else (Standing.UNDOING,)) as transaction:
            engine = transaction.engine
            if self.is_rebooted:
                deadline = Deadline(self.lasting_seconds)
                self.failures += engine.undo_steps(self.lasting(), self.plan.key, deadline=deadline)
            else:
                self.failures += transaction.undo(begun, deadline=Deadline(limits.undo))
            if not (self.failures or self.is_rebooted or self.case.hurried):
                engine.run_best_effort(self.plan.second_looks(begun), deadline=Deadline(limits.finish))
        self.tell(engine)

    def give_back(self) -> None:
        """Run what is left of the way back."""
        undone, again = self.story.finished(Action.UNDO), self.story.finished(Action.APPLY)
        items = pending(self.plan, undone, again - {step.id for step in self.plan.steps}, None)
        if self.is_rebooted:
            lasting = {step.id for step in self.lasting()}
            items = tuple(item for item in items if item.action is Action.APPLY or item.step in lasting)
        with self.transaction().reopen(Standing.RETURNING) as transaction:
            self.failures += transaction.give_back(items, deadline=Deadline(self.plan.limits.finish))
        self.tell(transaction.engine)

    def finish(self) -> None:
        """Apply what is left; what a restart has undone by itself is applied once more."""
        done = self.story.finished(Action.APPLY)
        gone = {step.id for step in self.plan.steps if self.is_rebooted and step.lifetime is Lifetime.BOOT}
        rest = tuple(step for step in self.plan.steps if step.id not in done or step.id in gone)
        with self.transaction().reopen(Standing.APPLYING, lenient=False) as transaction:
            plan = replace(self.plan, steps=rest)
            failure = transaction.engine.apply(plan, deadline=Deadline(self.plan.limits.prepare))
        self.failures += [failure] if failure else []
        self.tell(transaction.engine)

    def tell(self, engine: Engine) -> None:
        """Keep what `engine` has left as it was."""
        self.left += engine.left

    def ended(self, verdict: Unfinished) -> str:
        """It is over: keep the record, forget the journal, and return the sentence."""
        from vfioctl.txn.runner import keep

        said = " ".join((self.sentence(verdict), *self.left))
        transaction = self.transaction()
        keep(self.node, transaction, None, said)
        transaction.forget()
        return said

    def failed(self, _verdict: Unfinished) -> VfioctlError:
        """Something is left: keep why, leave the journal, and return the error."""
        from vfioctl.txn.runner import keep, name_of

        error = StepFailed(
            "operation.unfinished",
            f"{name_of(self.plan)} could not be ended: " + "; ".join(one.message for one in self.failures),
            state=" ".join(("The journal is kept.", *self.left)),
            hints=("Try again with: vfioctl recover", *self.given_up),
        )  # fmt: skip
        keep(self.node, self.transaction(), error, "")
        return error

    # What all of them use

    def transaction(self) -> Transaction:
        """Its transaction, to be reopened."""
        return self.node.transaction(self.plan, self.fds, watch=self.watch, turn=self.turn)

    def lasting(self) -> tuple[Step, ...]:
        """What was begun and lies on a disk, but for what stays once the operation has succeeded."""
        kept, begun = self.story.given, self.story.begun(Action.APPLY)
        lasting = (step for step in self.plan.changes if step.lifetime is Lifetime.DISK and step.id in begun)
        return tuple(step for step in lasting if not (kept and step.scope is Scope.TRANSACTION))

    @property
    def given_up(self) -> tuple[str, ...]:
        """The way out where a recovery can never end it, as a hint. Not in a hook, nor for who is not root."""
        if self.case.hurried or self.node.paths.own:
            return ()
        return (f"If that can never be, put its journal aside with: vfioctl recover --discard {self.plan.key}",)

    def _note(self, failures: Iterable[Failure]) -> None:
        """Tell the journal what was tried in vain, so that it may be put aside. A hook has no time for a whole try."""
        if self.case.hurried:
            return
        with self.transaction().reopen() as transaction:
            for one in failures:
                transaction.journal.failed(one.action, one.step, one.cause)

    def _refuse_libvirt(self) -> None:
        """Raise Refused where it changes a domain: libvirt waits for the hook, and would not answer it."""
        from vfioctl.txn.resources import DOMAIN
        from vfioctl.txn.runner import name_of

        if any(name.startswith(DOMAIN) for name in self.plan.resources):
            raise Refused(
                "operation.unfinished", f"{name_of(self.plan)} is not finished, and needs libvirt for that.",
                state="Nothing was changed.", hints=("Finish it with: vfioctl recover",),
            )  # fmt: skip

    def _left_to_a_person(self) -> Refused:
        from vfioctl.txn.runner import name_of

        return Refused(
            "operation.left", f"{name_of(self.plan)} was interrupted, and nothing but a person may end it.",
            state="Nothing was changed.",
            hints=(f"See what it has done with: vfioctl operation show {self.plan.key}",
                   f"Then put its journal aside with: vfioctl recover --discard {self.plan.key}"),
        )  # fmt: skip
