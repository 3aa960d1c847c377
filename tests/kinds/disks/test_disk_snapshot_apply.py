"""disk.snapshot_apply on real images, by bytes: there, and back."""

from __future__ import annotations

import os
import subprocess

import pytest
from disk_images import MISSING, content, create, fill, opened
from step_builders import OPERATION, planned

from vfioctl.errors import StepFailed, StepRefused
from vfioctl.kinds.disks.disk_snapshot import KIND as KEEP
from vfioctl.kinds.disks.disk_snapshot_apply import KIND
from vfioctl.txn.step import State, StepProposal

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"missing: {', '.join(MISSING)}")
PATH = "/srv/disk.qcow2"
KEPT = {"backend": "qcow2", "path": PATH, "name": "kept"}
WISH = {"path": PATH, "name": "clean", "kept": f"kept-{OPERATION}", "domain": "a-uuid"}


@pytest.fixture
def machine(plain):
    """A disk that was filled, snapshotted as `clean`, and filled with something else."""
    path = create(plain.paths.at(PATH))
    fill(path, 1, 0)
    subprocess.run(["qemu-img", "snapshot", "-c", "clean", path], check=True)
    return plain


@pytest.fixture
def contents(machine):
    """What the guest saw at the snapshot, and what it sees now."""
    path = machine.paths.at(PATH)
    clean = content(path)
    fill(path, 2, 0)
    return clean, content(path)


def step(machine, **more):
    return planned(machine, "disk.snapshot_apply", {**WISH, **more}, deadline=20.0)


def keep(machine):
    KEEP.apply(planned(machine, "disk.snapshot", KEPT, deadline=20.0), machine)


def seen(machine):
    return content(machine.paths.at(PATH))


def test_the_disk_is_as_it_was_then_and_its_undo_as_it_was_before(machine, contents):
    clean, present = contents
    there = step(machine)
    keep(machine)
    assert KIND.apply(there, machine) is None
    assert seen(machine) == clean
    assert KIND.undo(there, machine) is None
    assert seen(machine) == present
    assert KIND.undo(there, machine) is None
    assert seen(machine) == present


def test_without_the_present_state_kept_nothing_is_done(machine, contents):
    there = step(machine)
    assert KIND.probe(there, machine) is State.BEFORE
    with pytest.raises(StepRefused) as refused:
        KIND.apply(there, machine)
    assert refused.value.code == "snapshot.missing"
    assert seen(machine) == contents[1]


def test_another_snapshot_of_that_name_is_not_gone_back_to(machine, contents):
    there = step(machine)
    keep(machine)
    for argv in (["-d", "clean"], ["-c", "clean"]):
        subprocess.run(["qemu-img", "snapshot", *argv, machine.paths.at(PATH)], check=True)
    with pytest.raises(StepRefused) as refused:
        KIND.apply(there, machine)
    assert refused.value.code == "snapshot.foreign"
    assert seen(machine) == contents[1]


def test_a_snapshot_that_is_not_there_is_refused_before_anything(machine):
    proposal = StepProposal("x", "disk.snapshot_apply", {**WISH, "name": "gone"}, "a test")
    assert [one.code for one in KIND.check(proposal, machine.host())] == ["snapshot.missing"]


def test_an_image_that_is_not_there_is_refused_before_anything(machine):
    os.unlink(machine.paths.at(PATH))
    proposal = StepProposal("x", "disk.snapshot_apply", WISH, "a test")
    assert [one.code for one in KIND.check(proposal, machine.host())] == ["snapshot.unreadable"]


def test_an_image_in_use_is_not_touched(machine, contents):
    there = step(machine)
    keep(machine)
    user = opened(machine.paths.at(PATH))
    try:
        with pytest.raises(StepFailed, match="Failed to get"):
            KIND.apply(there, machine)
    finally:
        user.communicate()
    assert seen(machine) == contents[1]


def test_it_locks_the_disk_and_the_guest():
    assert KIND.touches(WISH) == (f"disk:{PATH}", "domain:a-uuid")
