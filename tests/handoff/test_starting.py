"""`recover` between the end of prepare and the start of QEMU: the guest is only just coming."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from hand_offs import BY_NAME, GPU, GUEST, stage

from vfioctl.handoff import attempts, markers
from vfioctl.handoff.attempts import Attempt
from vfioctl.host.processes import start_time
from vfioctl.paths import Paths
from vfioctl.txn.plan import Plan

REFUSED = 3
SLOW = 20.0  # seconds that a loaded computer may need from a mark to its test
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
    arm(on, NOBODY if how == "the daemon is gone" else late_by(os.getpid()))
    assert on.command("recover").returncode == 0
    assert driver(on) == "igb"


def late_by(pid: int) -> Attempt:
    """That process has had its time for the start, and a second."""
    began = start_time(Paths(), pid) or 0
    return Attempt(pid, began, time.monotonic_ns() - int((attempts.DAEMON_ALIVE + 1) * attempts.NANO))


def test_what_was_not_started_in_its_time_is_named_with_the_setting(on):
    arm(on, late_by(os.getpid()))
    daemon = Path("/proc/self/comm").read_text().strip()
    said = f"{daemon} has not started the guest within 120 s (deadlines.start)"
    assert f"{GUEST}: {said}; everything is home." in on.command("recover").stdout
    for words in (("status",), ("history", "last")):
        assert said in " ".join(on.command(*words).stdout.split()), words
    assert said in Path(on.host.paths.log, "vfioctl.log").read_text()


def test_a_daemon_that_has_gone_is_not_said_to_be_late(on):
    arm(on, late_by(NOBODY.daemon))
    assert f"{GUEST}: everything is home." in on.command("recover").stdout


@pytest.mark.parametrize("seconds", [30.0, 600.0])
def test_the_settings_say_how_long_it_is_waited_for_the_guest(tmp_path, seconds):
    with stage(BY_NAME["generic"], tmp_path) as on:
        with open(on.host.paths.guest_config(GUEST), "a") as file:
            file.write(f"[deadlines]\nstart = {seconds}\n")
        assert on.prepare().status == 0
        armed = attempts.read(on.host.paths, GUEST)
        assert seconds - SLOW < armed.left <= seconds
        moved = Attempt(armed.daemon, armed.began, armed.since - int(seconds * attempts.NANO))
        arm(on, moved)
        assert f"has not started the guest within {seconds:g} s (deadlines.start)" in on.command("recover").stdout


@pytest.mark.parametrize("seconds", [30.0, attempts.DAEMON_ALIVE, 600.0])
def test_an_older_version_reads_the_mark_and_gives_the_same_time(on, seconds):
    """Three numbers, of which it adds 120 s to the last: that is all it knows."""
    arm(on, attempts.by_caller(on.host.paths, seconds))
    _daemon, _began, since = map(int, (Path(on.host.paths.guest_markers(GUEST)) / markers.ARMED).read_text().split())
    left = 120.0 - (time.monotonic_ns() - since) / 1e9
    assert seconds - SLOW < left <= seconds


def test_the_mark_of_an_older_version_means_120_s(on):
    markers.set_mark(on.host.paths, GUEST, markers.ARMED, f"{os.getpid()} 1 {time.monotonic_ns()}\n")
    assert 120.0 - SLOW < attempts.read(on.host.paths, GUEST).left <= 120.0


def test_a_plan_of_an_older_version_means_120_s(on):
    limits = {**on.story().plan.to_json()["limits"]}
    del limits["start"]
    assert Plan.from_json({**on.story().plan.to_json(), "limits": limits}).limits.start == 120.0


def test_a_second_prepare_of_the_guest_finishes_what_the_first_one_gave(on):
    """libvirt asks again for the same guest, so it has given the first start up."""
    assert on.prepare().status == 0
    assert driver(on) == "vfio-pci"
