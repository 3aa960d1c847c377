"""What an announced migration or restore changes: the start that follows from the same daemon, and no other one."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hand_offs import BY_NAME, DISK, GUEST, Stage

from vfioctl.handoff import markers
from vfioctl.testing.host import FakeHost

SNAPSHOT = "[snapshot]\nenabled = true\npolicy = \"require\"\n"


@pytest.fixture
def stage(place: Path) -> Iterator[Stage]:
    """A guest that must get a snapshot at each start."""
    with FakeHost(BY_NAME["snapshot"].machine(), place) as host:
        made = Stage(BY_NAME["snapshot"], host)
        made.set_guest_file(SNAPSHOT)
        yield made


def announce(stage: Stage, operation: str = "migrate") -> Path:
    """libvirt's call, and the mark that it leaves."""
    assert stage.libvirt.call(GUEST, operation, "begin", stage.xml).status == 0
    return Path(stage.host.paths.guest_markers(GUEST), markers.INCOMING)


def is_snapshotted(stage: Stage) -> bool:
    """Whether a start that follows now makes a snapshot."""
    before = snapshots(stage)
    assert stage.prepare().status == 0
    return snapshots(stage) != before


def snapshots(stage: Stage) -> str:
    argv = ["qemu-img", "snapshot", "-l", stage.root + DISK]
    return subprocess.run(argv, capture_output=True, check=True, text=True).stdout


@pytest.mark.parametrize("operation", ["migrate", "restore"])
def test_a_guest_that_arrives_gets_no_snapshot(stage: Stage, operation: str):
    mark = announce(stage, operation)
    assert not is_snapshotted(stage)
    assert not mark.exists()


@pytest.mark.parametrize("operation", ["migrate", "restore"])
def test_one_that_came_to_nothing_is_forgotten_after_a_while(stage: Stage, operation: str):
    mark = announce(stage, operation)
    daemon, began, since = mark.read_text().split()
    mark.write_text(f"{daemon} {began} {float(since) - 200}\n")
    assert is_snapshotted(stage)
    assert not mark.exists()


@pytest.mark.parametrize("field", [0, 1])
def test_one_that_another_daemon_announced_does_not_count(stage: Stage, field: int):
    mark = announce(stage)
    words = mark.read_text().split()
    words[field] = str(int(words[field]) + 1)
    mark.write_text(" ".join(words))
    assert is_snapshotted(stage) is (field == 0 or knows_start_times(stage))


def knows_start_times(stage: Stage) -> bool:
    return os.path.exists(os.path.join(stage.host.paths.proc, str(os.getpid()), "stat"))


@pytest.mark.parametrize(("age", "expected"), [(0, False), (200, True)])
def test_the_mark_of_an_older_shim_counts_while_it_is_fresh(
    stage: Stage, age: int, *, expected: bool
):
    mark = announce(stage)
    mark.write_text("")
    os.utime(mark, (time.time() - age,) * 2)
    assert is_snapshotted(stage) is expected


def test_the_mark_names_the_daemon_that_called_and_when(stage: Stage):
    daemon, began, since = announce(stage).read_text().split()
    stat = Path(f"/proc/{os.getpid()}/stat").read_text().rpartition(")")[2].split()
    assert (int(daemon), began) == (os.getpid(), stat[19])
    assert 0 <= time.clock_gettime(time.CLOCK_BOOTTIME) - float(since) < 10


@pytest.mark.parametrize("umask", [0o077, 0o027, 0o777, 0])
@pytest.mark.parametrize("first", ["migrate", "prepare"])
def test_what_everybody_may_read_can_be_read_whatever_the_umask_of_the_daemon_is(stage: Stage, umask: int, first: str):
    before = os.umask(umask)
    try:
        if first == "migrate":
            announce(stage)
        assert stage.prepare().status == 0
    finally:
        os.umask(before)
    paths = stage.host.paths
    modes = {path: os.stat(path).st_mode & 0o777 for path in (paths.run, paths.markers, paths.state, paths.history)}
    assert set(modes.values()) == {0o755}, modes
    assert os.stat(paths.guest_markers(GUEST)).st_mode & 0o777 == 0o700
