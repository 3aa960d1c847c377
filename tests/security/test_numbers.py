"""However many old copies, snapshots and starts there are: locks, their files and descriptors stay few."""

from __future__ import annotations

import multiprocessing
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from hand_offs import BY_NAME, DISK, NVRAM, Stage

from vfioctl.errors import Busy
from vfioctl.files import Lock
from vfioctl.testing.host import FakeHost

MOST = 20  # copies of the NVRAM that one stop removes
DESCRIPTORS = 128  # what our processes get here, and what the tests before have left open; a shell and a unit have 1024


@pytest.fixture
def snapshots(place: Path) -> Iterator[Stage]:
    """A guest that gets a snapshot at each start."""
    with FakeHost(BY_NAME["snapshot"].machine(), place) as host:
        yield Stage(BY_NAME["snapshot"], host)


@pytest.fixture
def few_descriptors(snapshots: Stage) -> Iterator[None]:
    """What the simulated machine does not need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS + len(os.listdir("/proc/self/fd")), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def plant(stage: Stage, count: int) -> list[str]:
    """Old copies of the NVRAM, oldest first."""
    times = [f"2019{1 + i // 1680:02}{1 + i // 60 % 28:02}-0000{i % 60:02}" for i in range(count)]
    names = [f"{stage.root}{NVRAM}.vfioctl-{time}" for time in times]
    for name in names:
        Path(name).write_text("")
    return names


def locks(stage: Stage) -> set[str]:
    return set(os.listdir(stage.host.paths.locks))


@pytest.mark.usefixtures("few_descriptors")
def test_thousands_of_old_copies_cost_neither_the_start_nor_the_return(snapshots: Stage):
    planted = plant(snapshots, 3_000)
    assert snapshots.start().status == 0
    snapshots.stop()
    assert snapshots.wait_for_return()
    assert [os.path.exists(name) for name in planted[: MOST + 1]] == [False] * MOST + [True]
    assert snapshots.command("status").returncode == 0
    assert len(locks(snapshots)) < DESCRIPTORS


def test_what_is_left_of_old_copies_is_said_and_goes_after_the_next_stop(snapshots: Stage):
    planted = plant(snapshots, MOST + 5)
    shown = snapshots.command("plan", "win11", "--format", "json", "--xml", xml(snapshots)).stdout
    assert "kept; 6 more go after later stops" in shown
    for _ in range(2):
        assert snapshots.start().status == 0
        snapshots.stop()
        assert snapshots.wait_for_return()
    assert not any(map(os.path.exists, planted))


def xml(stage: Stage) -> str:
    path = Path(stage.root, "domain.xml")
    path.write_bytes(stage.xml)
    return str(path)


def test_many_old_snapshots_are_named_and_deleted_bit_by_bit(snapshots: Stage):
    for number in range(MOST + 3):
        name = f"vfioctl-20190101-0000{number:02}"
        os.spawnlp(os.P_WAIT, "qemu-img", "qemu-img", "snapshot", "-c", name, snapshots.root + DISK)
    call = snapshots.start()
    assert call.status == 0
    assert "has 24 snapshots too many: 20 go after this stop, 4 after the next ones." in call.stderr
    assert len([name for name in locks(snapshots) if "vda.qcow2" in name]) <= 1
    snapshots.stop()
    assert snapshots.wait_for_return()


def test_lock_files_do_not_pile_up_from_start_to_start(snapshots: Stage):
    def after_a_start() -> set[str]:
        assert snapshots.start().status == 0
        snapshots.stop()
        assert snapshots.wait_for_return()
        return locks(snapshots)

    assert after_a_start() == after_a_start()


def test_a_lock_that_passes_leaves_no_file(tmp_path: Path):
    path = tmp_path / "locks/a.lock"
    with Lock(str(path), passing=True):
        assert path.exists()
    assert not path.exists()


def test_a_lock_that_a_child_has_inherited_keeps_its_file(tmp_path: Path):
    """Who comes next must find the file that the child has locked."""
    path = tmp_path / "a.lock"
    lock = Lock(str(path), passing=True)
    lock.acquire()
    inherited = os.dup(lock.fd)
    lock.release()
    assert path.exists()
    with pytest.raises(Busy):
        Lock(str(path), passing=True).acquire()
    os.close(inherited)
    with Lock(str(path), passing=True):
        pass
    assert not path.exists()


def test_who_has_waited_for_a_lock_whose_file_was_removed_locks_the_new_one(tmp_path: Path):
    path = tmp_path / "a.lock"
    first, second = (Lock(str(path), passing=True) for _ in range(2))
    first.acquire()
    waiting = os.open(path, os.O_RDWR)  # as one that waits has it open
    first.release()
    second.acquire()
    assert not os.path.samestat(os.fstat(waiting), os.fstat(second.fd))
    with pytest.raises(Busy):
        Lock(str(path), passing=True).acquire()
    os.close(waiting)
    second.release()


def test_two_never_hold_a_lock_that_passes_at_once(tmp_path: Path):
    counter, lock = tmp_path / "count", str(tmp_path / "a.lock")
    counter.write_text("0")
    workers = [multiprocessing.Process(target=count_up, args=(str(counter), lock, 200)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert counter.read_text() == "800"


def count_up(path: str, name: str, times: int) -> None:
    """Read, then write, under the lock: who is not alone loses what another one wrote."""
    for _ in range(times):
        lock = Lock(name, passing=True)
        lock.acquire(deadline=30.0)
        with lock:
            Path(path).write_text(str(int(Path(path).read_text()) + 1))
