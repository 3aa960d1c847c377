"""The way back of one journalled hand-off: in the hook until the driver is home, the rest detached. Needs no plugin.

Holds what others share for one step each, and nothing at all while it waits for the proof.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from math import inf

from vfioctl.errors import Busy, StepFailed, VfioctlError
from vfioctl.frozen import replace
from vfioctl.handoff import notes
from vfioctl.handoff.commit import forget
from vfioctl.handoff.notes import guest_lock
from vfioctl.handoff.outcome import Ending, amend, keep
from vfioctl.kinds import PCI, conditions
from vfioctl.txn.clock import Deadline, StepTime, as_journalled, own
from vfioctl.txn.engine import Engine, Failure, pending
from vfioctl.txn.journal import Standing, Story, read_both
from vfioctl.txn.kind import kind
from vfioctl.txn.plan import Action, Part, Plan
from vfioctl.txn.resources import Ledger, turns
from vfioctl.txn.settling import Case, Settling
from vfioctl.txn.step import Condition, Scope, Step
from vfioctl.wait import until

PROOF_SECONDS = 10.0


class WayBack(Settling):
    """One return. Each step has locks of its own."""

    patience = inf  # the most seconds that one step waits for its turn

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self.turn = turns(self.node.paths, longest=self.patience)
        self.unseen: tuple[Condition, ...] = ()
        self.ending: Ending | None = None
        self.kept = ""

    def locks(self) -> AbstractContextManager[tuple[int, ...]]:
        return nullcontext(())

    def run(self, part: Part | None, *, seconds: float, accept_others: bool = False) -> bool:
        """Run what is left of `part` (None: all) within `seconds`; whether everything of it is back.

        `accept_others`: also where somebody else has put a device on another driver. Raises Busy while another
        hand-off has what a step needs; the journal stays.
        """
        from vfioctl.handoff import astray  # a start that finds nothing unfinished does without it

        paths, uuid = self.node.paths, self.plan.key
        now = read_both(paths, uuid) or self.story
        undone = now.finished(Action.UNDO) - astray.astray(self.plan, self.node.machine())
        way = _way(now, Ledger(paths))
        items = pending(way, undone, now.finished(Action.APPLY) - self._steps(), part)
        deadline = Deadline(seconds)
        with self.transaction().reopen(Standing.RETURNING) as transaction:
            engine = transaction.engine
            self.failures += transaction.give_back(items, deadline=deadline)
            if part is None:
                self.failures += engine.let_go(_idle(now, way), uuid, deadline=deadline)
        self.tell(engine)
        self._find_astray(accept_others=accept_others)
        if part is None:
            self.unseen = self._not_seen(self.plan.proof)
            self._tell_updates()
        self._warn(self.failures)
        return not self.failures

    def tell(self, engine: Engine) -> None:
        """Name in the log what stays, as no step of it made that, and what could not be done and need not be."""
        super().tell(engine)
        for said in engine.left:
            self.log.warning(f"{self.plan.subject}: {said}", guest=self.plan.subject)
        self._warn(engine.warnings)

    def _warn(self, failures: Iterable[Failure]) -> None:
        for failure in failures:
            self.log.warning(f"{self.plan.subject}: {failure.message}", guest=self.plan.subject, code=failure.code)

    def _steps(self) -> frozenset[str]:
        """Steps of prepare have APPLY records too; those are not pieces of the way back."""
        return frozenset(step.id for step in self.plan.steps)

    def prove(self) -> None:
        """Wait for the conditions that prove the return, and say in its outcome which stay false.

        The caller holds no lock: the hand-off is over, and its devices may be given again meanwhile. That alone does
        not make a return fail: what has no step cannot be tried again. A driver that is missing does.

        Where a piece has failed nothing brings them about any more, so they are not waited for.
        """
        from vfioctl.handoff import astray

        if not self.unseen:
            return
        hopeless = self.failures or astray.astray(self.plan, self.node.machine())
        until(self._is_shown, 0.0 if hopeless else PROOF_SECONDS)
        if self._is_overtaken():
            return
        for said in map(conditions.describe, self.unseen):
            self.log.warning(f"{self.plan.subject}: not seen after the return: {said}.", guest=self.plan.subject)
        if self.ending and not self.ending.error:
            self.ending = replace(self.ending, message=self._said())
            self._amend(self.ending)

    def _is_shown(self) -> bool:
        """Whether nothing is left to wait for: all has come true, or the devices are not with the host any more."""
        if self._is_overtaken():
            return True
        self.unseen = self._not_seen(self.unseen)
        return not self.unseen

    def _not_seen(self, wanted: Iterable[Condition]) -> tuple[Condition, ...]:
        return tuple(condition for condition in wanted if not self._is_so(condition))

    def _is_overtaken(self) -> bool:
        """Whether the guest or another one is being handed a device of this one already."""
        if self.ending is None or self.ending.error:
            return False  # what is open is this hand-off itself
        paths = self.node.paths
        again, ledger = os.path.exists(paths.boot_journal(self.plan.key)), Ledger(paths)
        return again or any(ledger.entries(f"{PCI}{address}") for address in notes.devices(self.plan))

    def _amend(self, ending: Ending) -> None:
        """Keep what the proof has shown, while no later hand-off of the guest has an outcome of its own to keep."""
        paths = self.node.paths
        with suppress(Busy), guest_lock(paths, ending.uuid):
            amend(paths, self.log, ending, self.kept)

    def _find_astray(self, *, accept_others: bool) -> None:
        """A device that is not at its driver has not come home, whatever the steps said."""
        from vfioctl.handoff import astray

        told = {failure.step.id for failure in self.failures}
        found = astray.failures(self.plan, self.node.machine(), accept_others=accept_others)
        self.failures += [failure for failure in found if failure.step.id not in told]

    def _is_so(self, condition: Condition) -> bool:
        try:
            return conditions.evaluate(condition, self.node.machine())
        except VfioctlError as error:  # who cannot be asked has not been seen
            self.log.warning(f"{self.plan.subject}: {error}", guest=self.plan.subject)
            return False

    def _tell_updates(self) -> None:
        from vfioctl.handoff import drift  # a start that finds nothing unfinished does without it

        for said in drift.found(self.plan, self.node.machine().host()):
            self.log.warning(f"{self.plan.subject}: {said}.", guest=self.plan.subject)

    def close(self, event: str) -> None:
        """Everything is home: keep the record, forget the journal. Raises Busy where the ledger cannot be left yet."""
        transaction = self.transaction()
        transaction.leave_all()
        self.ending = Ending(self.plan.subject, self.plan.key, event, self._times(event), message=self._said())
        self.kept = keep(self.node.paths, self.log, self.ending)
        forget(transaction)

    def leave_open(self, event: str, what: str = "", *, hints: tuple[str, ...] = ()) -> VfioctlError:
        """Not everything is home: keep why, leave the journal for `recover`, and return the error.

        `what` says it for a hand-off that did not end in a return; `hints` are more of them.
        """
        what = what or f"{self.plan.subject} gave its devices back, but not everything came home"
        error = StepFailed(
            "return.unfinished", f"{what}: " + "; ".join(failure.message for failure in self.failures),
            state=" ".join(("The journal is kept.", *self.left)),
            hints=("Finish it with: vfioctl recover", "Bring the desktop back with: vfioctl rescue", *hints),
        )
        self.ending = Ending(self.plan.subject, self.plan.key, event, self._times(event), error=error)
        keep(self.node.paths, self.log, self.ending)
        return error

    def _times(self, event: str) -> tuple[StepTime, ...]:
        """The whole return, with what the hook and other processes did of it."""
        story = read_both(self.node.paths, self.plan.key) or self.story
        actions = {step.id: Action.UNDO for step in self.plan.changes}
        actions |= {step.id: Action.APPLY for step in self.plan.returns}
        times = as_journalled(self.plan, story.records, actions)
        return tuple(_with_pause(self.plan, times)) if event == "release" else times

    @property
    def but(self) -> str:
        """What was not seen of the return, to follow a sentence that says it is over."""
        return f"; not seen: {', '.join(map(conditions.describe, self.unseen))}" if self.unseen else ""

    def _said(self) -> str:
        return " ".join((f"{', '.join(notes.devices(self.plan)) or 'nothing'} back{self.but}", *self.left))


def _with_pause(plan: Plan, times: tuple[StepTime, ...]) -> Iterator[StepTime]:
    """`times`, with what it took to start the detached part where that was another process than the hook."""
    in_hook = {item.step for item in plan.way_back if item.part is Part.HOOK}
    end = None
    for time in times:
        if end is not None and time.id not in in_hook:
            yield own("detached-part", end, time.started - end)
        yield time
        end = time.started + time.duration if time.id in in_hook else None


def left_of(story: Story, ledger: Ledger) -> Plan:
    """The plan of `story` with what is left of its way back."""
    way, steps = _way(story, ledger), {step.id for step in story.plan.steps}
    left = pending(way, story.finished(Action.UNDO), story.finished(Action.APPLY) - steps, None)
    return replace(way, way_back=left)


def _way(story: Story, ledger: Ledger) -> Plan:
    """The plan with the way back that fits: what was never done is not undone."""
    plan, begun = story.plan, set(story.begun(Action.APPLY))
    begun |= {step.id for step in plan.changes if step.id not in begun and ledger.is_inherited(step, plan.key)}
    if not story.given:
        return replace(plan, way_back=plan.way_back_unused(begun))
    idle = {step.id for step in plan.changes if step.id not in begun and _is_idle(step, story)}
    back = (item for item in plan.way_back if item.action is Action.APPLY or item.step not in idle)
    return replace(plan, way_back=tuple(back))


def _idle(story: Story, way: Plan) -> tuple[Step, ...]:
    """The steps that have nothing to undo on the way back `way`; what a start keeps that has succeeded is none."""
    undone = {item.step for item in way.way_back if item.action is Action.UNDO}
    kept = Scope.TRANSACTION if story.given else None
    return tuple(step for step in story.plan.changes if step.id not in undone and step.scope is not kept)


def _is_idle(step: Step, story: Story) -> bool:
    """Whether a step that was not begun needs no look at the machine: it cannot have come about all the same."""
    form = kind(step.kind)
    return form.blind or (not form.spontaneous and step.id in story.refused(Action.APPLY))
