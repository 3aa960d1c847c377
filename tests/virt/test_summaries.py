"""The list of guests, from libvirt's own test driver; tests/libvirt/test_guest_lists.py asks a real daemon."""

from __future__ import annotations

from vfioctl.virt.connection import Connection
from vfioctl.virt.summaries import read_summaries


def test_every_guest_is_there_with_its_state(mock: Connection) -> None:
    (found,) = read_summaries(mock)
    assert (found.name, found.state, found.reason, found.runs) == ("test", "running", "", True)


def test_one_that_runs_is_told_with_its_cpus_and_memory(mock: Connection) -> None:
    (found,) = read_summaries(mock)
    assert (found.cpus, found.memory) == (2, 2 << 30)
