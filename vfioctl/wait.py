"""The only place that sleeps: back-off between two looks at a condition, up to a deadline; and being asked to stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

FIRST = 0.005
LONGEST = 0.25


class Backoff:
    """Yields once at once, then after growing pauses, and for a last time when `deadline` seconds have passed."""

    def __init__(self, deadline: float, *, first: float = FIRST, longest: float = LONGEST) -> None:
        self.end = time.monotonic() + deadline
        self.pause = first
        self.longest = longest

    def __iter__(self) -> Iterator[float]:
        while (left := self.end - time.monotonic()) > 0:
            yield left
            time.sleep(min(self.pause, max(0.0, self.end - time.monotonic())))
            self.pause = min(self.pause * 2, self.longest)
        yield 0.0


def until(condition: Callable[[], bool], deadline: float) -> bool:
    """Whether `condition` came true within `deadline` seconds."""
    return any(condition() for _ in Backoff(deadline))


class Stop:
    """Remembers that somebody asked to stop; `ask` is a signal handler, and whoever works looks at `is_asked`."""

    def __init__(self) -> None:
        self._asked = False

    def ask(self, *_: object) -> None:
        self._asked = True

    def is_asked(self) -> bool:
        return self._asked
