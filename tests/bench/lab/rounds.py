"""Times the ways in turns, in one boot: what `virsh` takes, until the card is home, how long `virsh list` waits."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from tests.bench.lab import ways
from tests.bench.lab.ways import COUNTED, USUAL_WAITS, USUAL_WAY, WAYS
from tests.lab.inside import guest, managed, programs
from tests.lab.inside.checks import eventually, expect

ROUNDS = 10
LIST_ROUNDS = 3
Times = dict[str, list[float]]


@dataclass(slots=True)
class Taken:
    """Seconds of one way, a number a round."""

    start: list[float] = field(default_factory=list)
    stop: list[float] = field(default_factory=list)
    home: list[float] = field(default_factory=list)  # from the end of `virsh destroy`

    @property
    def virsh(self) -> list[float]:
        """Give and return as `virsh` shows them."""
        return [start + stop for start, stop in zip(self.start, self.stop, strict=True)]


def interleaved() -> dict[str, Taken]:
    """Every way ROUNDS times, taking turns; the first turn of all is not counted. Its waits are slept in that one."""
    _turn({way.name: Taken() for way in WAYS})
    programs.must(["touch", COUNTED])
    taken = {way.name: Taken() for way in WAYS}
    for _ in range(ROUNDS):
        _turn(taken)
    usual = taken[USUAL_WAY.name]
    usual.start = [seconds + 5 for seconds in usual.start]
    usual.stop = [seconds + USUAL_WAITS - 5 for seconds in usual.stop]
    return taken


def _turn(taken: dict[str, Taken]) -> None:
    for way in WAYS:
        way.begins()
        one = taken[way.name]
        one.start.append(_virsh("start"))
        guest.has_card()
        one.stop.append(_virsh("destroy"))
        begun = time.monotonic()
        if not way.given:
            eventually(ways.is_home, 60, f"{way.name}: the card does not come home")
        one.home.append(time.monotonic() - begun)
        eventually(lambda: not managed.leftovers(), 60, lambda: f"left: {managed.leftovers()}")
        way.ends()


def _virsh(verb: str) -> float:
    done, seconds = programs.timed(["virsh", verb, ways.GUEST.name])
    expect(truth=done.returncode == 0, otherwise=f"virsh {verb} failed: {done.stderr.strip()}")
    return seconds


def lists() -> Times:
    """The longest `virsh list` of each start, by way, and of an idle daemon under ""."""
    waits: Times = {"": [programs.timed(["virsh", "list"])[1] for _ in range(LIST_ROUNDS)]}
    for _ in range(LIST_ROUNDS):
        for way in (ways.FLOOR_WAY, ways.OUR_WAY):
            way.begins()
            waits.setdefault(way.name, []).append(_longest_list())
            _virsh("destroy")
            eventually(lambda: ways.is_home() and not managed.leftovers(), 60, lambda: f"left: {managed.leftovers()}")
            way.ends()
    return waits


def _longest_list() -> float:
    """Of those that are asked one after the other while the guest starts."""
    starting = programs.spawn(["virsh", "start", ways.GUEST.name])
    longest = 0.0
    while starting.poll() is None:
        longest = max(longest, programs.timed(["virsh", "list"])[1])
    expect(truth=starting.returncode == 0, otherwise="virsh start failed")
    return longest
