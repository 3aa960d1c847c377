"""How a check fails, and how it waits for a condition."""

from __future__ import annotations

import time
from collections.abc import Callable

FIRST, LONGEST = 0.05, 0.5
PATIENCE = [1.0]


class CheckError(Exception):
    """A check did not hold; the message is one sentence."""


def expect(*, truth: bool, otherwise: str) -> None:
    if not truth:
        raise CheckError(otherwise)


def holds(condition: Callable[[], bool], seconds: float, otherwise: Callable[[], str]) -> None:
    """Raise CheckError when `condition` is not true at some moment of the next `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        expect(truth=condition(), otherwise=otherwise())
        time.sleep(FIRST)


def eventually(condition: Callable[[], bool], deadline: float, otherwise: str | Callable[[], str]) -> None:
    """Raise CheckError unless `condition` comes true within `deadline` seconds, times the patience of the run."""
    end = time.monotonic() + deadline * PATIENCE[0]
    pause = FIRST
    while not condition():
        if time.monotonic() > end:
            why = otherwise if isinstance(otherwise, str) else otherwise()
            raise CheckError(f"{why} (waited {deadline * PATIENCE[0]:.0f} s)")
        time.sleep(pause)
        pause = min(pause * 2, LONGEST)
