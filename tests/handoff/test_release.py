"""The two parts of a release, and a new start of the same guest that comes between them."""

from __future__ import annotations

import os
import time

import pytest
from hand_offs import BY_NAME, GPU, GUEST, stage

from vfioctl.handoff.notes import guest_lock
from vfioctl.testing.domains import UUID
from vfioctl.txn.journal import Journal, Standing
from vfioctl.wait import until


@pytest.fixture
def on(tmp_path):
    with stage(BY_NAME["generic"], tmp_path) as one:
        yield one


def driver(on) -> str:
    return os.path.basename(os.readlink(on.host.paths.pci(GPU, "driver")))


def test_a_second_part_that_comes_after_the_next_start_leaves_that_start_alone(on):
    on.start()
    on.stop()
    assert on.prepare().status == 0
    assert on.command("finish", UUID).returncode == 0
    assert driver(on) == "vfio-pci"
    assert on.story().standing is Standing.HELD


def test_the_second_part_does_everything_when_the_hook_could_do_nothing(on):
    on.start()
    on.guest_ends()
    with Journal(on.host.paths, UUID) as journal:
        journal.reopen()
        journal.standing(Standing.RETURNING)
    assert on.command("finish", UUID).returncode == 0
    assert driver(on) == "igb"
    assert on.differences() == ()


def test_a_guest_that_was_never_given_its_devices_keeps_no_snapshot_and_loses_no_older_one(tmp_path):
    with stage(BY_NAME["snapshot"], tmp_path) as on:
        on.crash_at(8)
        on.prepare()
        on.crash_at(None)
        on.libvirt.gone(GUEST, on.xml)
        assert on.wait_for_return()
        assert on.differences() == ()


# Somebody else holds the guest's lock when libvirt calls release

RELEASE_SECONDS = 4.0


@pytest.fixture
def busy(tmp_path):
    """A guest that has ended while another process holds its lock."""
    with stage(BY_NAME["generic"], tmp_path) as on:
        on.set_guest_file(f"[deadlines]\nrelease = {RELEASE_SECONDS}\n")
        on.start()
        on.guest_ends()
        lock = guest_lock(on.host.paths, UUID)
        lock.acquire()
        yield on, lock
        lock.release()


def test_a_release_that_finds_the_lock_busy_leaves_a_process_that_finishes(busy):
    on, lock = busy
    on.libvirt.gone(GUEST, on.xml)
    assert driver(on) == "vfio-pci"
    lock.release()
    assert on.wait_for_return()
    assert driver(on) == "igb"
    assert on.differences() == ()


def test_it_keeps_libvirt_no_longer_than_any_release_and_nor_does_the_shim(busy):
    on, _ = busy
    began = time.monotonic()
    on.libvirt.gone(GUEST, on.xml)
    assert time.monotonic() - began < RELEASE_SECONDS + 2.0
    assert not os.path.exists(os.path.join(on.host.paths.log, f"undo-{UUID}.log"))


def test_the_process_that_waits_has_nothing_to_do_when_the_other_one_has_finished(busy):
    on, lock = busy
    on.libvirt.gone(GUEST, on.xml)
    lock.release()
    assert until(lambda: on.command("recover").returncode == 0, 10)
    assert on.wait_for_return()
    assert until(lambda: not any("finish" in unit for unit in on.host.kernel.units()), 20)
    assert on.differences() == ()


def test_it_leaves_a_later_start_of_the_guest_alone(on):
    on.start()
    former = repr(on.story().started)
    on.stop()
    assert on.prepare().status == 0
    assert on.command("finish", UUID, former).returncode == 0
    assert (driver(on), on.story().standing) == ("vfio-pci", Standing.HELD)
