"""Machines for the steps: one of plain files, and simulated ones that answer like a kernel."""

from __future__ import annotations

import pytest
from step_builders import plain_machine

from vfioctl.testing import scenarios
from vfioctl.testing.host import FakeHost
from vfioctl.txn.machine import Machine


@pytest.fixture
def plain(tmp_path):
    """Plain files, the real /proc, and kill and qemu-img among the programs."""
    return plain_machine(str(tmp_path))


@pytest.fixture
def boot(tmp_path):
    """Starts a simulated machine; gives it and what steps get of it."""
    running = []

    def start(spec):
        host = FakeHost(spec, tmp_path / "machine")
        host.start()
        running.append(host)
        return host, Machine(host.paths, host.programs)

    yield start
    for host in running:
        host.stop()


@pytest.fixture
def idle_card(boot):
    """Two cards: an NVIDIA one that nobody holds, and the desktop's."""
    return boot(scenarios.two_gpu())


@pytest.fixture
def desktop(boot):
    """One AMD card that the desktop is on."""
    return boot(scenarios.single_gpu_amdgpu_desktop())


@pytest.fixture
def nvidia_desktop(boot):
    """One NVIDIA card that the desktop is on."""
    return boot(scenarios.single_gpu_nvidia_desktop())


@pytest.fixture
def nic(boot):
    """A network card that nobody holds, without graphics."""
    return boot(scenarios.generic_nic())
