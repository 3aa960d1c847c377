"""The same hand-off in several ways, timed: see tests/bench/lab. Runs with `all` and by its name."""

from __future__ import annotations

from tests.bench.lab import compare
from tests.lab.inside.lab import Lab
from tests.lab.inside.scenario import scenario


@scenario(seconds=900)
def ways(lab: Lab) -> None:
    """vfioctl beside the least that a script can do, the usual script, and libvirt alone: seconds, writes, memory."""
    compare.run(lab)
