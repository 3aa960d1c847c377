"""The way back of one journalled hand-off: in the hook until the driver is home, the rest detached. Needs no plugin."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vfioctl.compose import Composition
from vfioctl.errors import StepFailed, VfioctlError
from vfioctl.frozen import replace
from vfioctl.handoff.commit import forget
from vfioctl.handoff.outcome import Ending, keep
from vfioctl.log import Log
from vfioctl.txn import conditions
from vfioctl.txn.clock import Deadline, StepTime, Stopwatch, as_journalled, own
from vfioctl.txn.engine import Engine, Failure, pending
from vfioctl.txn.journal import Journal, Standing, Story, read_both
from vfioctl.txn.kind import kind
from vfioctl.txn.plan import BIND, Action, Part, Plan
from vfioctl.txn.resources import Ledger
from vfioctl.txn.step import Condition, Step
from vfioctl.wait import until

PROOF_SECONDS = 10.0


class WayHome:
    """One return. `fds` are the locks that helper programs inherit; the caller holds them."""

    def __init__(
        self, composition: Composition, story: Story, fds: tuple[int, ...], log: Log, *,
        watch: Stopwatch | None = None, failures: Iterable[Failure] = (),
    ) -> None:
        self.composition = composition
        self.story = story
        self.fds = fds
        self.log = log
        self.watch = watch or Stopwatch()
        self.failures = list(failures)
        self.unseen: tuple[str, ...] = ()
        self.left: list[str] = []
        self.ending: Ending | None = None

    @property
    def plan(self) -> Plan:
        return self.story.plan

    def run(self, part: Part | None, *, seconds: float, accept_others: bool = False) -> bool:
        """Run what is left of `part` (None: all) within `seconds`; whether everything of it is back.

        `accept_others`: also where somebody else has put a device on another driver.
        """
        from vfioctl.handoff import astray  # a start that finds nothing unfinished does without it

        paths, uuid = self.composition.paths, self.plan.uuid
        now = read_both(paths, uuid) or self.story
        undone = now.finished(Action.UNDO) - astray.astray(self.plan, self.composition.machine())
        items = pending(_way(now, Ledger(paths)), undone, now.finished(Action.APPLY) - self._steps(), part)
        deadline = Deadline(seconds)
        with Journal(paths, uuid, on_record=self.composition.on_record) as journal:
            journal.reopen()
            journal.standing(Standing.RETURNING)
            engine = Engine(self.composition.machine(*self.fds), journal, Ledger(paths), self.watch)
            self.failures += engine.give_back(self.plan, items, uuid, deadline=deadline)
        self.tell_left(engine)
        self._find_astray(accept_others=accept_others)
        self._prove(deadline)
        if part is None:
            self._tell_updates()
        for failure in (*self.failures, *engine.warnings):
            self.log.warning(f"{self.plan.guest}: {failure.message}", guest=self.plan.guest, code=failure.code)
        return not self.failures

    def tell_left(self, engine: Engine) -> None:
        """Name what stays since no step of this hand-off made it, in the log and in the outcome."""
        self.left += engine.left
        for said in engine.left:
            self.log.warning(f"{self.plan.guest}: {said}", guest=self.plan.guest)

    def _steps(self) -> frozenset[str]:
        """Steps of prepare have APPLY records too; those are not pieces of the way back."""
        return frozenset(step.id for step in self.plan.steps)

    def _prove(self, deadline: Deadline) -> None:
        """Wait for the conditions that prove the return; one that stays false is said.

        That alone does not make a return fail: what has no step cannot be tried again. A driver that is missing does.

        Where a piece has failed they are only looked at: nothing brings them about any more.
        """
        from vfioctl.handoff import astray

        hopeless = self.failures or astray.astray(self.plan, self.composition.machine())
        end = Deadline(0.0 if hopeless else min(PROOF_SECONDS, deadline.left))
        back = self.plan.back
        self.unseen = tuple(conditions.describe(item) for item in back if not self._comes_true(item, end))
        for said in self.unseen:
            self.log.warning(f"{self.plan.guest}: not seen after the return: {said}.", guest=self.plan.guest)

    def _find_astray(self, *, accept_others: bool) -> None:
        """A device that is not at its driver has not come home, whatever the steps said."""
        from vfioctl.handoff import astray

        told = {failure.step.id for failure in self.failures}
        found = astray.failures(self.plan, self.composition.machine(), accept_others=accept_others)
        self.failures += [failure for failure in found if failure.step.id not in told]

    def _comes_true(self, condition: Condition, deadline: Deadline) -> bool:
        machine = self.composition.machine(*self.fds)
        try:
            return until(lambda: conditions.evaluate(condition, machine), deadline.left)
        except VfioctlError as error:  # who cannot be asked has not been seen
            self.log.warning(f"{self.plan.guest}: {error}", guest=self.plan.guest)
            return False

    def _tell_updates(self) -> None:
        from vfioctl.handoff import updates  # a start that finds nothing unfinished does without it

        for said in updates.found(self.plan, self.composition.machine().host()):
            self.log.warning(f"{self.plan.guest}: {said}.", guest=self.plan.guest)

    def close(self, event: str) -> None:
        """Everything is home: keep the record, forget the journal."""
        paths = self.composition.paths
        self.ending = Ending(self.plan.guest, self.plan.uuid, event, self._times(event), message=self._said())
        keep(paths, self.log, self.ending)
        forget(self.composition, self.plan, Journal(paths, self.plan.uuid), Ledger(paths))

    def leave_open(self, event: str, what: str = "") -> VfioctlError:
        """Not everything is home: keep why, leave the journal for `recover`, and return the error.

        `what` says it for a hand-off that did not end in a return.
        """
        what = what or f"{self.plan.guest} gave its devices back, but not everything came home"
        error = StepFailed(
            "return.unfinished", f"{what}: " + "; ".join(failure.message for failure in self.failures),
            state=" ".join(("The journal is kept.", *self.left)),
            hints=("Finish it with: vfioctl recover", "Bring the desktop back with: vfioctl rescue"),
        )
        self.ending = Ending(self.plan.guest, self.plan.uuid, event, self._times(event), error=error)
        keep(self.composition.paths, self.log, self.ending)
        return error

    def _times(self, event: str) -> tuple[StepTime, ...]:
        """The whole return, with what the hook and other processes did of it."""
        story = read_both(self.composition.paths, self.plan.uuid) or self.story
        actions = {step.id: Action.UNDO for step in self.plan.changes}
        actions |= {step.id: Action.APPLY for step in self.plan.returns}
        times = as_journalled(self.plan, story.records, actions)
        return tuple(_with_pause(self.plan, times)) if event == "release" else times

    @property
    def but(self) -> str:
        """What was not seen of the return, to follow a sentence that says it is over."""
        return f"; not seen: {', '.join(self.unseen)}" if self.unseen else ""

    def _said(self) -> str:
        return " ".join((f"{', '.join(self.plan.devices) or 'nothing'} back{self.but}", *self.left))


def _with_pause(plan: Plan, times: tuple[StepTime, ...]) -> Iterator[StepTime]:
    """`times`, with what it took to start the detached part where that was another process than the hook."""
    in_hook = {item.step for item in plan.way_back if item.part is Part.HOOK}
    end = None
    for time in times:
        if end is not None and time.id not in in_hook:
            yield own("detached-part", end, time.started - end)
        yield time
        end = time.started + time.duration if time.id in in_hook else None


def _way(story: Story, ledger: Ledger) -> Plan:
    """The plan with the way back that fits: what was never done is not undone."""
    plan, begun = story.plan, set(story.begun(Action.APPLY))
    begun |= {step.id for step in plan.changes if step.id not in begun and ledger.is_inherited(step, plan.uuid)}
    if not story.given:
        return replace(plan, way_back=plan.way_back_unused(begun))
    idle = {step.id for step in plan.changes if step.id not in begun and _is_idle(step, story)}
    back = (item for item in plan.way_back if item.action is Action.APPLY or item.step not in idle)
    return replace(plan, way_back=tuple(back))


def _is_idle(step: Step, story: Story) -> bool:
    """Whether a step that was not begun needs no look at the machine. A bind may have come about all the same."""
    return kind(step.kind).blind or (step.kind != BIND and step.id in story.refused(Action.APPLY))
