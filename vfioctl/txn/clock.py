"""Where the time of an operation went: one line a step, and the deadline that all of them share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from vfioctl.frozen import frozen
from vfioctl.txn.journal import Moment
from vfioctl.txn.plan import Action, Plan
from vfioctl.txn.step import Step


@frozen
class StepTime:
    """One step, or part of the operation's own work, as it ran.

    Seconds since the start of the operation; `outcome` is done, a no-op's reason or an error.
    """

    id: str
    kind: str
    phase: str
    action: str
    started: float
    duration: float
    outcome: str


def own(name: str, started: float, duration: float) -> StepTime:
    """The time of something that is no step of the plan: the operation's own work."""
    return StepTime(name, name, "own", Action.APPLY, started, duration, "done")


class Stopwatch:
    """Collects StepTimes and tells each to `tell`, which may show it."""

    def __init__(self, tell: Callable[[StepTime], None] | None = None) -> None:
        self.tell = tell
        self.began = time.monotonic()
        self.times: list[StepTime] = []

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.began

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time something that is no step, once it has ended well."""
        started = self.elapsed
        yield
        self._keep(own(name, started, self.elapsed - started))

    @contextmanager
    def step(self, step: Step, action: Action) -> Iterator[list[str]]:
        """Time one step; the caller appends its outcome to the yielded list."""
        started = self.elapsed
        outcome: list[str] = []
        try:
            yield outcome
        except Exception as error:
            outcome.append(f"failed: {error}")
            raise
        finally:
            said = "; ".join(outcome) or "done"
            self._keep(StepTime(step.id, step.kind, step.phase, action, started, self.elapsed - started, said))

    def _keep(self, line: StepTime) -> None:
        self.times.append(line)
        if self.tell:
            self.tell(line)


def as_journalled(plan: Plan, records: Sequence[Moment], actions: Mapping[str, Action]) -> tuple[StepTime, ...]:
    """The times of the steps in `actions`, each with that action, as the journal's lines tell, whoever wrote them."""
    wanted = [record for record in records if actions.get(record.step) is record.action]
    ends = {record.step: record for record in wanted if record.what in ("done", "refused")}
    begins = {record.step: record for record in wanted if record.what == "intent"}
    zero = min((record.at for record in wanted), default=0.0)
    return tuple(_time(plan.step(name), begun, ends.get(name), zero) for name, begun in begins.items())


def _time(step: Step, begun: Moment, ended: Moment | None, zero: float) -> StepTime:
    if ended is None or ended.at < begun.at:
        return StepTime(step.id, step.kind, step.phase, begun.action, begun.at - zero, 0.0, "not done")
    duration = ended.at - begun.at
    outcome = f"failed: {ended.note}" if ended.what == "refused" else ended.note or "done"
    return StepTime(step.id, step.kind, step.phase, begun.action, begun.at - zero, duration, outcome)


class Allowance:
    """Seconds that several pieces of work share; what lies between them costs nothing."""

    def __init__(self, seconds: float) -> None:
        self.left = seconds
        self.spent = 0.0

    @contextmanager
    def taking(self) -> Iterator[float]:
        """Count what the body takes; yields what it may take."""
        began = time.monotonic()
        try:
            yield self.left
        finally:
            self.spent += (took := time.monotonic() - began)
            self.left = max(0.0, self.left - took)


class Deadline:
    """A moment that a step, or a whole part of an operation, must not pass."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds until then, never negative."""
        return max(0.0, self.end - time.monotonic())
