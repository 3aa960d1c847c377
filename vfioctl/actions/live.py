"""The line that a caller is told for each step as it ends, while an action runs the engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vfioctl.actions.caller import Caller
    from vfioctl.txn.clock import StepTime


def teller(caller: Caller) -> Callable[[StepTime], None]:
    """What a Stopwatch tells each step to."""
    return lambda time: caller.tell(step_line(time))


def step_line(time: StepTime) -> str:
    """One step: what was done with it, how long it took, and what it said unless that is `done`."""
    said = "" if time.outcome == "done" else f"  {time.outcome}"
    return f"  {time.action:<5}  {time.id:<44} {time.duration:6.2f} s{said}"
