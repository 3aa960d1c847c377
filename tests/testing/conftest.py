"""Simulated machines for the tests of the kit itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from machine_driver import SECONDS, Machine

from vfioctl.testing.host import FakeHost


@pytest.fixture
def machine_of(start_host: Callable[..., FakeHost]) -> Iterator[Callable[..., Machine]]:
    """Start a machine of the given spec."""
    machines: list[Machine] = []

    def start(*spec: object) -> Machine:
        machines.append(Machine(start_host(*spec)))
        return machines[-1]

    yield start
    for machine in machines:
        server = machine.host._server
        if server is None or server.has_ended():
            continue  # the test has killed it; names that the kernel remembers would tell nothing
        machine.kernel.release()
        for process in machine.kernel.processes():
            machine.kernel.end_process(process["pid"])
        for child in machine.children:
            if child.poll() is None:
                child.kill()
    for machine in machines:
        machine.host.stop()
        for child in machine.children:
            child.wait(SECONDS)
