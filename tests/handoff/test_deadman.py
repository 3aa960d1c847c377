"""The dead-man goes on until the card is home: one attempt that fails is not the end."""

from __future__ import annotations

import os
import signal
import time

import pytest
from hand_offs import BY_NAME, GPU, GUEST, stage

from vfioctl.handoff import deadman, markers
from vfioctl.handoff.attempts import Attempt
from vfioctl.log import Log
from vfioctl.testing.domains import UUID
from vfioctl.txn.history import read_all

GONE = Attempt(daemon=2**22 + 1, began=1, since=time.monotonic_ns())  # more than any pid
NOBODY = deadman.Watched(UUID, GUEST, GONE)


@pytest.fixture
def killed(tmp_path, monkeypatch):
    """A prepare that was killed after its last step, and a dead-man who does not wait as long as a real one."""
    monkeypatch.setattr(deadman, "DAEMON_GONE", 0.2)
    monkeypatch.setattr(deadman, "REPEAT", 0.2)
    with stage(BY_NAME["without-systemd"], tmp_path) as on:
        on.crash_at(4)
        assert on.prepare().status == -signal.SIGKILL
        on.crash_at(None)
        markers.set_mark(on.host.paths, GUEST, markers.ARMED, str(GONE))
        yield on


def test_it_tries_again_until_the_card_is_home(killed):
    killed.host.kernel.fail_write("/sys/bus/pci/drivers/vfio-pci/unbind", count=3)
    deadman.watch(killed.libvirt.composition, NOBODY, Log(killed.host.paths, stderr=None))
    assert os.path.basename(os.readlink(killed.host.paths.pci(GPU, "driver"))) == "igb"
    assert killed.story() is None


def test_the_same_failure_again_and_again_is_one_record(killed):
    killed.host.kernel.fail_write("/sys/bus/pci/drivers/vfio-pci/unbind", count=3)
    deadman.watch(killed.libvirt.composition, NOBODY, Log(killed.host.paths, stderr=None))
    assert [one.ok for one in read_all(killed.host.paths).runs] == [True, False]


def test_that_of_an_earlier_attempt_leaves_a_later_one_of_the_same_guest_alone(killed):
    later = Attempt(GONE.daemon, GONE.began, since=GONE.since + 1)
    markers.set_mark(killed.host.paths, GUEST, markers.ARMED, str(later))
    deadman.watch(killed.libvirt.composition, NOBODY, Log(killed.host.paths, stderr=None))
    assert killed.story() is not None
