"""`recover` between the end of prepare and the start of QEMU: the guest is only just coming."""

from __future__ import annotations

import json
import os
import time

import pytest
from hand_offs import BY_NAME, GPU, GUEST, stage

from vfioctl.handoff import attempts, markers
from vfioctl.handoff.attempts import Attempt
from vfioctl.host.processes import start_time
from vfioctl.paths import Paths

REFUSED = 3
NOBODY = Attempt(daemon=2**22 + 1, began=1, since=time.monotonic_ns())


@pytest.fixture
def on(tmp_path):
    """A guest that has its devices; this process is the daemon that called the hook."""
    with stage(BY_NAME["generic"], tmp_path) as one:
        assert one.prepare().status == 0
        yield one


def driver(on) -> str:
    return os.path.basename(os.readlink(on.host.paths.pci(GPU, "driver")))


def arm(on, attempt: Attempt) -> None:
    markers.set_mark(on.host.paths, GUEST, markers.ARMED, str(attempt))


def test_recover_leaves_a_guest_alone_that_libvirt_is_about_to_start(on):
    ended = on.command("recover")
    assert ended.returncode == REFUSED
    assert f"{GUEST} is being started by" in ended.stderr
    assert f"vfioctl recover --abort {GUEST}" in ended.stderr
    assert driver(on) == "vfio-pci"


def test_status_does_not_call_it_unfinished(on):
    shown = json.loads(on.command("--format", "json", "status").stdout)
    assert [item["unfinished"] for item in shown["data"]["hand_offs"]] == [False]


def test_an_abort_takes_the_devices_back_all_the_same(on):
    assert on.command("recover", "--abort", GUEST).returncode == 0
    assert driver(on) == "igb"
    assert on.differences() == ()


@pytest.mark.parametrize("how", ["the daemon is gone", "its time is over"])
def test_recover_brings_the_devices_home_once_the_dead_man_would(on, how):
    pid = os.getpid()
    ours = start_time(Paths(), pid)
    late = Attempt(pid, ours, time.monotonic_ns() - int((attempts.DAEMON_ALIVE + 1) * attempts.NANO))
    arm(on, NOBODY if how == "the daemon is gone" else late)
    assert on.command("recover").returncode == 0
    assert driver(on) == "igb"


def test_a_second_prepare_of_the_guest_finishes_what_the_first_one_gave(on):
    """libvirt asks again for the same guest, so it has given the first start up."""
    assert on.prepare().status == 0
    assert driver(on) == "vfio-pci"
