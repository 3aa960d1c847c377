"""Guests that stop at one instant: how long until all are home and proved, for four and for sixteen of them."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from vfioctl.testing.host import FakeHost
from vfioctl.wait import until

if TYPE_CHECKING:
    from racks import Guest, Rack

SUPPORT = str(Path(__file__).parents[1] / "support")
TMPFS = "/dev/shm"
PROOF_SECONDS = 1.0  # from a card's driver until its screen is there: what no simulated card takes
PATIENCE = 120.0


def home(count: int) -> tuple[float, float]:
    """Seconds until the last of `count` guests is home and proved, and of the hook that libvirt waited for longest."""
    if SUPPORT not in sys.path:
        sys.path.append(SUPPORT)
    from racks import Rack, machine

    with (
        tempfile.TemporaryDirectory(prefix="vfioctl-bench-") as root,
        tempfile.TemporaryDirectory(prefix="vfioctl-bench-", dir=TMPFS) as memory,
    ):
        os.symlink(memory, os.path.join(root, "run"))
        with FakeHost(machine(), root) as host:
            rack = Rack(host, count)
            rack.give(*rack.guests)
            for guest in rack.guests:
                rack.expect(_screen(guest), guest)
            return _timed(rack)


def _screen(guest: Guest) -> str:
    return f"/screen-{guest.number}"


def _timed(rack: Rack) -> tuple[float, float]:
    began, lit = time.monotonic(), dict.fromkeys(rack.guests, 0.0)
    calls = rack.launch_stop(*rack.guests)

    def light() -> bool:
        """Let each screen come so long after its driver; whether all guests are home, as their outcomes tell."""
        for guest in rack.guests:
            now = time.monotonic()
            if not lit[guest] and rack.driver(guest) == rack.home:
                lit[guest] = now + PROOF_SECONDS
            elif lit[guest] and now >= lit[guest]:
                Path(rack.host.root + _screen(guest)).touch()
        sum(call.has_ended() for call in calls)
        return all(lit.values()) and not rack.open() and all(map(rack.is_proved, rack.guests))

    if not until(light, PATIENCE):
        raise RuntimeError(f"not home after {PATIENCE:g} s: {', '.join(rack.open())}")
    return time.monotonic() - began, max(call.seconds or 0.0 for call in rack.ended(calls))


def rounds(counts: Sequence[int], number: int) -> tuple[tuple[int, float, float], ...]:
    """Each of `counts` with the medians of `number` rounds, which take turns; the first turn is not counted."""
    turns = [[home(count) for count in counts] for _ in range(number + 1)][1:]
    return tuple((count, *map(median, zip(*took, strict=True))) for count, *took in zip(counts, *turns, strict=True))
