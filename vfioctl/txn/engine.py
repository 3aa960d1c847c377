"""Runs a plan: per step intent, guard, apply, done; on failure undo in reverse; and the way back. Knows no GPU.

Everything it needs stands in the plan, so it undoes what an older version or a plugin that is gone has planned.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext

from vfioctl.errors import Busy, DeadlineExceeded, StepFailed, StepRefused, Stuck, VfioctlError, stuck_in_kernel
from vfioctl.frozen import frozen, replace
from vfioctl.txn.clock import Deadline, Stopwatch
from vfioctl.txn.journal import Journal
from vfioctl.txn.kind import Kind, kind
from vfioctl.txn.machine import Machine
from vfioctl.txn.plan import Action, Part, Plan, ReturnItem
from vfioctl.txn.resources import Ledger
from vfioctl.txn.step import State, Step, Undo

TELL_SECONDS = 0.25  # between two words about a step's progress
Turn = Callable[[Step, Deadline], AbstractContextManager[tuple[int, ...]]]
ANY = Exception  # a bug in one step must not keep the others from being undone; its traceback is logged


@frozen
class Failure:
    """A step that did not do its work, with the error's own words."""

    step: Step
    action: Action
    error: Exception

    @property
    def message(self) -> str:
        said = str(self.error) or type(self.error).__name__
        return f"{self.step.id}: {said}"

    @property
    def cause(self) -> str:
        """What the error says, without its hints."""
        return self.error.message if isinstance(self.error, VfioctlError) else str(self.error)

    @property
    def code(self) -> str:
        if isinstance(self.error, VfioctlError):
            return self.error.code
        return "step.failed" if isinstance(self.error, OSError) else "internal.error"


class Interrupted(StepFailed):
    """SIGTERM came: the running step came to a checkpoint or its end, and everything is undone."""

    def __init__(self) -> None:
        super().__init__("engine.interrupted", "It was asked to stop.")


class Watch:
    """One step while it runs: when it was told of last, and whether it has to stop."""

    def __init__(self, step: Step, deadline: Deadline, stop: Callable[[], bool]) -> None:
        self.step = step
        self.deadline = deadline
        self.stop = stop
        self.told = 0.0
        self.done = -1
        self.stalled = Deadline(step.stall)

    def is_worth_telling(self, done: int, total: int) -> bool:
        """Whether somebody should hear of it: it is done, or the last word was some time ago."""
        if done != self.done:
            self.done, self.stalled = done, Deadline(self.step.stall)
        now = time.monotonic()
        if done != total and now - self.told < TELL_SECONDS:
            return False
        self.told = now
        return True

    def check(self) -> None:
        """Raise StepFailed where the step has to stop."""
        if self.stop():
            raise Interrupted
        if not self.deadline.left:
            raise DeadlineExceeded("step.deadline", f"It did not end within {self.step.deadline:g} s.")
        if self.step.stall and not self.stalled.left:
            raise DeadlineExceeded("step.stalled", f"It made no progress for {self.step.stall:g} s.")


def held(_step: Step, _deadline: Deadline) -> AbstractContextManager[tuple[int, ...]]:
    """The turn of a transaction that holds the locks of everything in its plan already."""
    return nullcontext(())


class Engine:
    """What runs one transaction's steps. `stop` is set by a signal handler; best-effort failures are `warnings`.

    `turn` holds what a step locks for as long as that one step takes (resources.turns), and yields the descriptors.
    `refused` are the steps that changed nothing; `left` says what an undo found that the step had not made, `for_good`
    what it could not take back since the step has no way back.
    """

    def __init__(
        self, machine: Machine, journal: Journal, ledger: Ledger, watch: Stopwatch | None = None,
        stop: Callable[[], bool] = bool, *, turn: Turn = held,
    ) -> None:
        self.machine = machine
        self.journal = journal
        self.ledger = ledger
        self.watch = watch or Stopwatch()
        self.stop = stop
        self.turn = turn
        self.warnings: list[Failure] = []
        self.refused: set[str] = set()
        self.left: list[str] = []
        self.for_good: list[str] = []

    def apply(self, plan: Plan, *, deadline: Deadline) -> Failure | None:
        """Run the steps of prepare; the first failure ends it and is returned, with nothing undone yet."""
        for step in plan.steps:
            try:
                self._may_go_on(deadline)
                self._run(step, deadline)
            except ANY as error:
                failure = Failure(step, Action.APPLY, error)
                if not step.best_effort or isinstance(error, Interrupted):
                    return failure
                self.warnings.append(failure)
        if plan.steps and self.stop():  # while the last one ran
            return Failure(plan.steps[-1], Action.APPLY, Interrupted())
        return None

    def run_best_effort(self, steps: tuple[Step, ...], *, deadline: Deadline) -> None:
        """Run steps whose failure is only a warning. Raises Busy when one does not get its turn."""
        for step in steps:
            try:
                self._run(step, deadline)
            except Busy:
                raise
            except ANY as error:
                self.warnings.append(Failure(step, Action.APPLY, error))

    def _may_go_on(self, deadline: Deadline) -> None:
        if self.stop():
            raise Interrupted
        if not deadline.left:
            raise DeadlineExceeded("engine.deadline", "The time for all of it is over.")

    def _run(self, step: Step, deadline: Deadline) -> None:
        form = kind(step.kind)
        timed = self._awaited(step, deadline, form.await_apply)
        with self.turn(step, deadline) as fds, self.watch.step(step, Action.APPLY) as outcome:
            self.journal.intent(Action.APPLY, step)
            self.refused.discard(step.id)
            timed = replace(timed, deadline=min(timed.deadline, deadline.left))
            machine = self._watched(timed, Action.APPLY, self.machine.holding(*fds), self.stop)
            self._guard(form, timed, machine)
            note = self._do(form, timed, machine) or ""
            self.journal.done(Action.APPLY, step, note)
            outcome.extend([note] if note else [])

    def _watched(self, step: Step, action: Action, machine: Machine, stop: Callable[[], bool]) -> Machine:
        """`machine` for this step: it tells how far it is, and stops at a checkpoint where it has to."""
        watch = Watch(step, Deadline(step.deadline), stop)

        def report(done: int, total: int, unit: str) -> None:
            if watch.is_worth_telling(done, total):
                self.journal.progress(action, step, done, total, unit)

        return machine.watched(report, watch.check)

    def _awaited(self, step: Step, deadline: Deadline, wait: Callable[[Step, Machine], None]) -> Step:
        """`step` with the time that is left to it after waiting, without its locks, for what it needs."""
        own = Deadline(min(step.deadline, deadline.left))
        wait(replace(step, deadline=own.left), self.machine)
        return replace(step, deadline=own.left)

    def _guard(self, form: Kind, step: Step, machine: Machine) -> None:
        try:
            form.guard(step, machine)
        except ANY as error:
            self._refuse(step, error)
            raise

    def _do(self, form: Kind, step: Step, machine: Machine) -> str | None:
        try:
            return form.apply(step, machine)
        except StepRefused as error:
            self._refuse(step, error)
            raise

    def _refuse(self, step: Step, error: Exception) -> None:
        """Say that the step has changed nothing, so that nobody undoes it: what it would find is not its own work."""
        self.refused.add(step.id)
        self.journal.refused(Action.APPLY, step, str(error))

    def undo(self, plan: Plan, begun: tuple[str, ...], uuid: str, *, deadline: Deadline) -> tuple[Failure, ...]:
        """Undo what was begun, in reverse, both scopes. Errors are collected and the rest goes on; Busy is raised."""
        failures: list[Failure] = []
        for step in reversed(plan.changes):
            did = step.id in begun and step.id not in self.refused
            if did or self._came_about(step):
                failures += filter(None, (self._undo(step, uuid, deadline),))
            else:
                failures += self.let_go((step,), uuid, deadline=deadline)
        return tuple(failures)

    def let_go(self, steps: tuple[Step, ...], uuid: str, *, deadline: Deadline) -> tuple[Failure, ...]:
        """Hold no longer what `steps` have not changed; what one that shared it has left meanwhile is undone."""
        failures: list[Failure] = []
        for step in reversed(steps):
            if not self._left_to_others(step, uuid, deadline) and self.ledger.is_inherited(step, uuid):
                failures += filter(None, (self._undo(step, uuid, deadline),))
        return tuple(failures)

    def _left_to_others(self, step: Step, uuid: str, deadline: Deadline) -> bool:
        """Whether others hold the step's resource and put it back from now on: seen and left in one turn."""
        if not self.ledger.others(step, uuid):
            return False
        with self.turn(step, deadline):
            if others := self.ledger.others(step, uuid):
                self.ledger.leave(step, uuid)
        return bool(others)

    def undo_steps(self, steps: tuple[Step, ...], uuid: str, *, deadline: Deadline) -> tuple[Failure, ...]:
        """Undo exactly these, in reverse. Errors are collected and the rest goes on; Busy is raised."""
        failures = (self._undo(step, uuid, deadline) for step in reversed(steps))
        return tuple(failure for failure in failures if failure)

    def _came_about(self, step: Step) -> bool:
        """Whether a step that was never begun has come about all the same, for another one's sake."""
        form = kind(step.kind)
        return form.spontaneous and form.probe(step, self.machine) is State.AFTER

    def give_back(
        self, plan: Plan, items: tuple[ReturnItem, ...], uuid: str, *, deadline: Deadline
    ) -> tuple[Failure, ...]:
        """Run pieces of the way back in order. Errors are collected and the rest goes on.

        Raises Busy when one does not get its turn: what follows it may need it, so the rest is for another try.
        """
        failures: list[Failure] = []
        named = plan.by_id()
        for item in items:
            step = named[item.step]
            if item.action is Action.APPLY and (note := self._in_vain(step, uuid)):
                self._pass_over(step, note)
            elif item.action is Action.APPLY:
                self.run_best_effort((step,), deadline=deadline)
            elif failure := self._undo(step, uuid, deadline):
                failures.append(failure)
        return tuple(failures)

    def _in_vain(self, step: Step, uuid: str) -> str:
        """Why a step of the way back cannot come true now: somebody else holds what it needs in another way."""
        if others := self.ledger.others_with(*kind(step.kind).needs(step.params), uuid):
            return _needed(others)
        return ""

    def _pass_over(self, step: Step, note: str) -> None:
        with self.watch.step(step, Action.APPLY) as outcome:
            self.journal.intent(Action.APPLY, step)
            self.journal.done(Action.APPLY, step, note)
            outcome.append(note)

    def _undo(self, step: Step, uuid: str, deadline: Deadline) -> Failure | None:
        try:
            kept = self.ledger.others(step, uuid)
            timed = step if kept else self._awaited(step, deadline, kind(step.kind).await_undo)
            with self.turn(step, deadline) as fds, self.watch.step(step, Action.UNDO) as outcome:
                self.journal.intent(Action.UNDO, step)
                timed = replace(timed, deadline=min(timed.deadline, deadline.left))
                machine = self._watched(timed, Action.UNDO, self.machine.holding(*fds), bool)
                note = self._put_back(timed, uuid, machine)
                self.ledger.leave(step, uuid)
                self.journal.done(Action.UNDO, step, note)
                outcome.extend([note] if note else [])
        except Busy:
            raise
        except ANY as error:
            return Failure(step, Action.UNDO, error)
        return None

    def _put_back(self, step: Step, uuid: str, machine: Machine) -> str:
        if others := self.ledger.others(step, uuid):
            return _needed(others)
        form = kind(step.kind)
        state = form.probe(step, machine)
        if state is State.STUCK:
            raise stuck_in_kernel(step.resource)
        if state is State.BEFORE:
            return "already as it was"
        note = ""
        if state is not State.FOREIGN:
            note = form.undo(step, machine) or ""
            if form.undo_of(step.params) is Undo.NONE and not form.passive:
                self.for_good.append(f"{step.id} ({note})" if note else step.id)
        if state is State.FOREIGN or (form.marks and form.probe(step, machine) is State.FOREIGN):
            note = form.foreign(step, machine)
            self.left += [] if note in self.left else [note]  # several steps may be about one thing
        return note


def undone(
    message: str, failure: Failure, secondary: tuple[Failure, ...], left: Iterable[str],
    state: str = "Everything was put back.",
) -> VfioctlError:
    """The error about `failure`, of its exit status, once everything was undone: `message`, how all stands, what to do.

    `secondary` is what could not be undone; without it `state` says how it is. What the error says of its own is said
    first: no undo has changed that.
    """
    cause = failure.error
    hints = cause.hints if isinstance(cause, VfioctlError) else ()
    own = cause.state if isinstance(cause, (StepFailed, Stuck)) else ""
    if secondary:
        state = f"Not everything could be put back: {'; '.join(item.message.rstrip('.') for item in secondary)}."
        hints = (*hints, "Finish it with: vfioctl recover")
    return (Stuck if isinstance(cause, Stuck) else StepFailed)(
        failure.code, message, state=" ".join(filter(None, (own, state, *left))), hints=tuple(dict.fromkeys(hints))
    )


def _needed(others: tuple[str, ...]) -> str:
    return f"still needed by {', '.join(others)}"


def pending(plan: Plan, finished: frozenset[str], applied: frozenset[str], part: Part | None) -> tuple[ReturnItem, ...]:
    """The pieces of the way back that are not done yet; `part` None means all of them.

    Undoing a piece again may change what a later one on the same resource has put back, so that one follows again.
    """
    done = {Action.UNDO: finished, Action.APPLY: applied}
    left: list[ReturnItem] = []
    disturbed: set[str] = set()
    known = plan.by_id()
    for item in plan.way_back:
        step = known[item.step]
        named = {step.resource, *step.touches} - {""} if item.action is Action.UNDO else set()
        if item.step in done[item.action] and not named & disturbed:
            continue
        disturbed |= named
        left += [item] if part in (None, item.part) else []
    return tuple(left)
