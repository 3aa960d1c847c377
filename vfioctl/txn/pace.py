"""How far a long step is and how fast it goes, for a person, from what was seen of it. Pure."""

from __future__ import annotations

from collections import deque

from vfioctl.sizes import as_size

BYTES = "bytes"
WINDOW = 10.0  # seconds: what went on before tells nothing of a line that is slower by now
SHORTEST = 1.0  # second, of which a rate is worth saying
MINUTE, HOUR = 60, 3600


class Pace:
    """The pace of one long step after the other: each look at one is `seen`."""

    def __init__(self) -> None:
        self._step = ""
        self._looks: deque[tuple[float, int]] = deque()

    def seen(self, step: str, at: float, done: int) -> float:
        """How much `step` does in a second, now that at `at` so much is `done`; 0 while that is not known."""
        if step != self._step or (self._looks and done < self._looks[-1][1]):
            self._looks.clear()
        self._step = step
        self._looks.append((at, done))
        while len(self._looks) > 1 and at - self._looks[1][0] >= WINDOW:
            self._looks.popleft()
        (began, first), took = self._looks[0], at - self._looks[0][0]
        return (done - first) / took if took >= SHORTEST and at > began else 0.0


def how_far(done: int, total: int, unit: str, rate: float = 0.0) -> str:
    """How far a long step is; a `total` of 0 is not known, nor is a `rate` of 0. Bytes have a unit of their size."""
    share = f" ({100 * done // total} %)" if total else ""
    if unit != BYTES:
        return f"{done}{f' of {total}' if total else ''}{share} {unit}"
    said = f"{as_size(done)}{f' of {as_size(total)}' if total else ''}{share}"
    if not rate:
        return said
    left = f", {_time((total - done) / rate)} left" if total > done else ""
    return f"{said}, {as_size(rate)}/s{left}"


def _time(seconds: float) -> str:
    """As a person says it: "40 s", "2 min", "1 h 20 min"."""
    if seconds < MINUTE:
        return f"{max(1, round(seconds))} s"
    if seconds < HOUR:
        return f"{round(seconds / MINUTE)} min"
    hours, minutes = divmod(round(seconds / MINUTE), 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
