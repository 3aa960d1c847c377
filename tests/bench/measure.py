"""Times child processes, taking turns, so that a busy machine meets both sides of a comparison. Knows no vfioctl."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}  # what libvirtd gives its hook


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of one child: by the clock on the wall, and of the processor, with all children that it waited for."""

    wall: float
    cpu: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.wall + other.wall, self.cpu + other.cpu)

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.wall - other.wall, self.cpu - other.cpu)


Child = Callable[[], Cost]


def run(
    argv: Sequence[str], stdin: str = os.devnull, *, more: Mapping[str, str] | None = None, ends: Sequence[int] = (0,)
) -> Cost:
    """The cost of one program that reads the file `stdin`, with `more` in its environment.

    Raises RuntimeError when its exit status is none of `ends`.
    """
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, stdin, os.O_RDONLY, 0), (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
    ]  # fmt: skip
    begun = time.perf_counter()
    pid = os.posix_spawn(argv[0], list(argv), {**ENVIRONMENT, **(more or {})}, file_actions=actions)
    _, status, used = os.wait4(pid, 0)
    wall = time.perf_counter() - begun
    if os.waitstatus_to_exitcode(status) not in ends:
        raise RuntimeError(f"{' '.join(argv)} ended with {os.waitstatus_to_exitcode(status)}")
    return Cost(wall, used.ru_utime + used.ru_stime)


def program(
    *argv: str, stdin: str = os.devnull, more: Mapping[str, str] | None = None, ends: Sequence[int] = (0,)
) -> Child:
    """What `run` does with these arguments."""
    return lambda: run(argv, stdin, more=more, ends=ends)


def times(count: int, child: Child) -> Child:
    """The cost of one of `count` calls in a row, for what is too short to be timed alone."""

    def several() -> Cost:
        costs = [child() for _ in range(count)]
        return Cost(sum(cost.wall for cost in costs) / count, sum(cost.cpu for cost in costs) / count)

    return several


def interleaved(children: Mapping[str, Child], rounds: int) -> dict[str, Cost]:
    """The median cost of each of `children`, who take turns; the first turn of all is not counted."""
    turns = turns_of(children, rounds)
    return {name: middle([turn[name] for turn in turns]) for name in children}


def turns_of(children: Mapping[str, Child], rounds: int) -> list[dict[str, Cost]]:
    """The cost of each of `children` in each turn but the first one."""
    return [{name: child() for name, child in children.items()} for _ in range(rounds + 1)][1:]


def extra(turns: Sequence[Mapping[str, Cost]], dear: str, cheap: str) -> Cost:
    """What `dear` costs more than `cheap`: the median over the turns, as a computer that slows down slows both."""
    return middle([turn[dear] - turn[cheap] for turn in turns])


def middle(costs: Sequence[Cost]) -> Cost:
    """The median by the clock, and that of the processor."""
    return Cost(median(cost.wall for cost in costs), median(cost.cpu for cost in costs))
