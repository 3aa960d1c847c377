"""disk.snapshot and disk.snapshot_delete on real qcow2 images."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest
from step_builders import OPERATION, planned, program

from vfioctl.errors import DeadlineExceeded, StepFailed, StepRefused, VfioctlError
from vfioctl.kinds.disks import images
from vfioctl.kinds.disks.disk_snapshot import KIND
from vfioctl.kinds.disks.disk_snapshot_delete import KIND as DELETE
from vfioctl.txn.clock import Deadline
from vfioctl.txn.step import State, StepProposal
from vfioctl.wait import until

pytestmark = pytest.mark.skipif(not shutil.which("qemu-img"), reason="qemu-img is not installed")
PARAMS = {"backend": "qcow2", "path": "/var/lib/disk.qcow2", "name": "-vfioctl 2026's"}
OURS = f"{PARAMS['name']}-{OPERATION}"


@pytest.fixture
def machine(plain):
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", plain.paths.at(PARAMS["path"]), "1M"], check=True)
    return plain


def snapshots(machine):
    """The names of all snapshots of the image, in its own order."""
    argv = ["qemu-img", "info", "--output=json", machine.paths.at(PARAMS["path"])]
    shown = json.loads(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)
    return [snapshot["name"] for snapshot in shown.get("snapshots", ())]


def somebody_makes(machine, name):
    subprocess.run(["qemu-img", "snapshot", "-c", name, "--", machine.paths.at(PARAMS["path"])], check=True)


def somebody_deletes(machine, name):
    subprocess.run(["qemu-img", "snapshot", "-d", name, "--", machine.paths.at(PARAMS["path"])], check=True)


def test_a_snapshot_is_made_once_and_undone(machine):
    step = planned(machine, "disk.snapshot", PARAMS)
    assert KIND.probe(step, machine) is State.BEFORE
    assert KIND.apply(step, machine) is None
    assert KIND.probe(step, machine) is State.AFTER
    assert "already" in KIND.apply(step, machine)
    assert snapshots(machine) == [OURS]
    assert KIND.undo(step, machine) is None
    assert "has no snapshot" in KIND.undo(step, machine)
    assert KIND.probe(step, machine) is State.BEFORE
    assert snapshots(machine) == []


def test_a_snapshot_that_was_there_before_stays_beside_ours_and_after_its_undo(machine):
    somebody_makes(machine, PARAMS["name"])
    step = planned(machine, "disk.snapshot", PARAMS)
    KIND.apply(step, machine)
    assert snapshots(machine) == [PARAMS["name"], OURS]
    KIND.undo(step, machine)
    assert snapshots(machine) == [PARAMS["name"]]
    assert KIND.probe(step, machine) is State.BEFORE


def test_a_snapshot_that_appeared_under_the_planned_name_is_foreign_and_named_with_what_deletes_it(machine):
    step = planned(machine, "disk.snapshot", PARAMS)
    somebody_makes(machine, PARAMS["name"])
    assert KIND.probe(step, machine) is State.FOREIGN
    command = KIND.foreign(step, machine).partition("with: ")[2].removesuffix(".")
    subprocess.run(command, shell=True, check=True)
    assert snapshots(machine) == []


def test_a_step_of_schema_1_has_no_mark_and_keeps_its_name(machine):
    step = planned(machine, "disk.snapshot", PARAMS, baseline={"exists": False})
    KIND.apply(step, machine)
    assert snapshots(machine) == [PARAMS["name"]]
    assert KIND.probe(step, machine) is State.AFTER
    KIND.undo(step, machine)
    assert snapshots(machine) == []
    somebody_makes(machine, PARAMS["name"])
    with pytest.raises(StepRefused) as caught:
        KIND.apply(step, machine)
    assert "qemu-img snapshot -d" in caught.value.hints[0]
    before = planned(machine, "disk.snapshot", PARAMS, baseline={"exists": True})
    assert KIND.probe(before, machine) is State.BEFORE
    assert "was there before" in KIND.undo(before, machine)
    assert snapshots(machine) == [PARAMS["name"]]


def test_retention_deletes_a_snapshot_for_good(machine):
    somebody_makes(machine, PARAMS["name"])
    step = planned(machine, "disk.snapshot_delete", PARAMS)
    assert DELETE.probe(step, machine) is State.BEFORE
    assert DELETE.apply(step, machine) is None
    assert DELETE.probe(step, machine) is State.AFTER
    assert "has no snapshot" in DELETE.apply(step, machine)
    assert "cannot be brought back" in DELETE.undo(step, machine)


def test_retention_leaves_another_snapshot_that_has_got_the_name_since(machine):
    somebody_makes(machine, PARAMS["name"])
    step = planned(machine, "disk.snapshot_delete", PARAMS)
    somebody_deletes(machine, PARAMS["name"])
    somebody_makes(machine, PARAMS["name"])
    assert DELETE.probe(step, machine) is State.FOREIGN
    with pytest.raises(StepRefused, match="qemu-img snapshot -d") as caught:
        DELETE.apply(step, machine)
    assert caught.value.code == "snapshot.foreign"
    assert snapshots(machine) == [PARAMS["name"]]


def test_retention_deletes_nothing_of_an_image_that_could_not_be_read_when_it_was_planned(machine):
    somebody_makes(machine, PARAMS["name"])
    path = machine.paths.at(PARAMS["path"])
    os.rename(path, f"{path}.away")
    step = planned(machine, "disk.snapshot_delete", PARAMS)
    os.rename(f"{path}.away", path)
    with pytest.raises(StepRefused):
        DELETE.apply(step, machine)


def test_retention_of_schema_1_goes_by_the_name(machine):
    somebody_makes(machine, PARAMS["name"])
    assert DELETE.apply(planned(machine, "disk.snapshot_delete", PARAMS, baseline={}), machine) is None
    assert snapshots(machine) == []


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


@pytest.mark.parametrize("letter", ["-c", "-a"])
def test_a_large_image_is_whole_also_where_the_change_takes_longer_than_it_may(plain, letter):
    """qemu-img counts each of its clusters; killed meanwhile it leaves tables that claim what the snapshot shares."""
    path = plain.paths.at(PARAMS["path"])
    create = ["qemu-img", "create", "-q", "-f", "qcow2", "-o", "preallocation=metadata", path, "256G"]
    subprocess.run(create, check=True)
    if letter == "-a":
        somebody_makes(plain, "before")
    with pytest.raises(DeadlineExceeded, match="goes on"):
        images.change(plain.programs, lambda path, name: ("qemu-img", "snapshot", letter, name, path), path, "before",
                      deadline=Deadline(0.05), doing="Making")  # fmt: skip
    check = ["qemu-img", "check", "-q", path]
    assert until(lambda: b"lock" not in subprocess.run(check, capture_output=True, check=False).stderr, 60)
    assert subprocess.run(check, check=False, capture_output=True).returncode == 0
    assert snapshots(plain) == ["before"]
