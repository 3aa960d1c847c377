"""The two parts of a release, and a new start of the same guest that comes between them."""

from __future__ import annotations

import os

import pytest
from hand_offs import BY_NAME, GPU, GUEST, stage

from vfioctl.testing.domains import UUID
from vfioctl.txn.journal import Journal, Standing


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
    assert on.story().standing is Standing.GIVEN


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
