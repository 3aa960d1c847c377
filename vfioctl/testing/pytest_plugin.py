"""The pytest plugin of the kit: a simulated machine as fixtures."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vfioctl.testing.host import FakeHost
from vfioctl.testing.model import MachineSpec
from vfioctl.testing.scenarios import single_gpu_nvidia_desktop

StartHost = Callable[[MachineSpec], FakeHost]


def can_mount() -> bool:
    """Whether this machine has what the kit needs."""
    return os.path.exists("/dev/fuse") and os.access("/dev/fuse", os.R_OK | os.W_OK)


@pytest.fixture
def fake_root(tmp_path: Path) -> Path:
    """The directory below which the simulated machine stands."""
    root = tmp_path / "root"
    root.mkdir()
    return root


@pytest.fixture
def start_host(fake_root: Path) -> Iterator[StartHost]:
    """Start a simulated machine of the given spec below `fake_root`; it ends with the test."""
    if not can_mount():
        pytest.skip("/dev/fuse cannot be used here")
    started: list[FakeHost] = []

    def start(machine: MachineSpec) -> FakeHost:
        host = FakeHost(machine, fake_root)
        host.start()
        started.append(host)
        return host

    yield start
    for host in started:
        host.stop()


@pytest.fixture
def fake_host(request: pytest.FixtureRequest, start_host: StartHost) -> FakeHost:
    """A single-GPU nvidia desktop, or the machine of @pytest.mark.parametrize("fake_host", [SPEC], indirect=True)."""
    return start_host(getattr(request, "param", None) or single_gpu_nvidia_desktop())
