"""disk.snapshot and disk.snapshot_delete on real qcow2 images."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from step_builders import planned, program

from vfioctl.errors import StepFailed, VfioctlError
from vfioctl.txn.step import State, StepProposal
from vfioctl.txn.steps.disk_snapshot import KIND
from vfioctl.txn.steps.disk_snapshot_delete import KIND as DELETE

pytestmark = pytest.mark.skipif(not shutil.which("qemu-img"), reason="qemu-img is not installed")
PARAMS = {"backend": "qcow2", "path": "/var/lib/disk.qcow2", "name": "-vfioctl 2026's"}


@pytest.fixture
def machine(plain):
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", plain.paths.at(PARAMS["path"]), "1M"], check=True)
    return plain


def snapshots(machine):
    argv = ["qemu-img", "snapshot", "-l", machine.paths.at(PARAMS["path"])]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.count("-vfioctl 2026's")


def test_a_snapshot_is_made_once_and_undone(machine):
    step = planned(machine, "disk.snapshot", PARAMS)
    assert KIND.probe(step, machine) is State.BEFORE
    assert KIND.apply(step, machine) is None
    assert KIND.probe(step, machine) is State.AFTER
    assert "already" in KIND.apply(step, machine)
    assert snapshots(machine) == 1
    assert KIND.undo(step, machine) is None
    assert "has no snapshot" in KIND.undo(step, machine)
    assert KIND.probe(step, machine) is State.BEFORE
    assert snapshots(machine) == 0


def test_a_snapshot_that_was_there_before_is_not_deleted_by_the_undo(machine):
    KIND.apply(planned(machine, "disk.snapshot", PARAMS), machine)
    step = planned(machine, "disk.snapshot", PARAMS)
    assert KIND.probe(step, machine) is State.BEFORE
    assert "was there before" in KIND.undo(step, machine)
    assert snapshots(machine) == 1


def test_retention_deletes_a_snapshot_for_good(machine):
    KIND.apply(planned(machine, "disk.snapshot", PARAMS), machine)
    step = planned(machine, "disk.snapshot_delete", PARAMS)
    assert DELETE.probe(step, machine) is State.BEFORE
    assert DELETE.apply(step, machine) is None
    assert DELETE.probe(step, machine) is State.AFTER
    assert "has no snapshot" in DELETE.apply(step, machine)
    assert "cannot be brought back" in DELETE.undo(step, machine)


LOCKED = """case "$*" in
*force-share* | *" -U"*) exit 0 ;;
*info*) echo "{}" ;;
*) echo "Failed to get lock" >&2; exit 1 ;;
esac"""


def test_an_image_in_use_is_refused_by_its_lock_and_not_forced(machine):
    step = planned(machine, "disk.snapshot", PARAMS)
    os.unlink(machine.paths.at("usr/bin/qemu-img"))
    program(machine, "qemu-img", LOCKED)
    with pytest.raises(StepFailed, match="Failed to get lock"):
        KIND.apply(step, machine)


def test_an_unreadable_image_is_said_in_words(machine):
    with open(machine.paths.at(PARAMS["path"]), "wb") as file:
        file.write(b"not qcow2")
    with pytest.raises(StepFailed, match="cannot be read") as caught:
        planned(machine, "disk.snapshot", PARAMS)
    assert caught.value.code == "snapshot.unreadable"


def test_an_unknown_backend_and_a_missing_image_are_found_by_the_check(machine):
    params = {"backend": "floppy", "path": "/var/lib/none", "name": "x"}
    proposal = StepProposal("x", "disk.snapshot", params, "a test")
    assert [f.code for f in KIND.check(proposal, machine.host())] == ["snapshot.backend", "file.missing"]
    with pytest.raises(VfioctlError, match="floppy"):
        planned(machine, "disk.snapshot", params)
