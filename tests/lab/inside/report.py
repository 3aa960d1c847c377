"""What the checks tell the outside: one marked JSON line an event. The only place that writes to stdout."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

MARK = "@lab "
FIRST, LONGEST = 0.05, 0.5
BUDGET = 230.0


class CheckError(Exception):
    """A check did not hold; the message is one sentence."""


def expect(*, truth: bool, otherwise: str) -> None:
    if not truth:
        raise CheckError(otherwise)


def eventually(condition: Callable[[], bool], deadline: float, otherwise: str) -> None:
    """Raise CheckError unless `condition` comes true within `deadline` seconds."""
    end = time.monotonic() + deadline
    pause = FIRST
    while not condition():
        if time.monotonic() > end:
            raise CheckError(f"{otherwise} (waited {deadline:.0f} s)")
        time.sleep(pause)
        pause = min(pause * 2, LONGEST)


class Report:
    """The events of one run."""

    def __init__(self, patience: float = 1.0) -> None:
        self.started = time.monotonic()
        self.budget = BUDGET * patience
        self.failed = 0
        self.times: dict[str, float] = {}

    def tell(self, event: str, **fields: Any) -> None:
        sys.stdout.write(f"{MARK}{json.dumps({'event': event, **fields})}\n")
        sys.stdout.flush()

    def has_time_for(self, name: str) -> bool:
        """Whether something more may begin; if not, it is told as skipped, so that what ran is not lost."""
        if time.monotonic() - self.started < self.budget:
            return True
        self._verdict(name, "skipped", time.monotonic(), "this computer is too slow; see --patience")
        return False

    @contextmanager
    def check(self, name: str) -> Iterator[list[str]]:
        """One check: what the block appends is said beside its verdict. A failure is told and raised."""
        said: list[str] = []
        started = time.monotonic()
        try:
            yield said
        except CheckError as failure:
            self.failed += 1
            self._verdict(name, "failed", started, str(failure))
            raise
        self._verdict(name, "passed", started, "; ".join(said))

    def _verdict(self, name: str, verdict: str, started: float, said: str) -> None:
        seconds = round(time.monotonic() - started, 2)
        self.tell("check", name=name, verdict=verdict, seconds=seconds, said=said)
