"""file.delete on real files."""

from __future__ import annotations

import os

import pytest
from disk_images import MISSING, create, opened
from step_builders import planned, put

from vfioctl.errors import StepFailed, StepRefused
from vfioctl.kinds.files.file_delete import KIND
from vfioctl.txn import blobs
from vfioctl.txn.step import State, StepProposal, Undo

PATH = "/srv/old.qcow2"


@pytest.fixture
def machine(plain):
    put(plain.paths.at(PATH), "old")
    os.chmod(plain.paths.at("srv"), 0o755)
    return plain


def wish(machine, path=PATH):
    found = os.stat(machine.paths.at(path))
    return {"path": path, "device": found.st_dev, "inode": found.st_ino}


def delete(machine):
    return planned(machine, "file.delete", wish(machine))


def do(step, machine):
    KIND.guard(step, machine)
    return KIND.apply(step, machine)


def codes(machine, params):
    return [one.code for one in KIND.check(StepProposal("x", "file.delete", params, "a test"), machine.host())]


def there(machine):
    return os.path.exists(machine.paths.at(PATH))


def test_the_file_that_was_planned_is_removed_for_good(machine):
    step = delete(machine)
    assert codes(machine, step.params) == []
    assert KIND.probe(step, machine) is State.BEFORE
    assert do(step, machine) is None
    assert KIND.probe(step, machine) is State.AFTER
    assert not there(machine)
    assert "not there" in do(step, machine)
    assert "cannot be brought back" in KIND.undo(step, machine)


def test_nothing_brings_it_back_and_its_plan_says_so():
    assert KIND.one_way
    assert KIND.undo_class is Undo.NONE


def test_what_a_step_before_writes_is_known_by_its_content(machine):
    blob = blobs.store(machine.paths, b"written meanwhile").name
    params = {"path": PATH, "blob": blob}
    step = planned(machine, "file.delete", params)
    assert codes(machine, params) == []
    assert KIND.probe(step, machine) is State.FOREIGN
    with pytest.raises(StepRefused):
        KIND.guard(step, machine)
    put(machine.paths.at(PATH), "written meanwhile")
    assert KIND.probe(step, machine) is State.BEFORE
    assert do(step, machine) is None
    assert not there(machine)


def test_something_must_name_the_file():
    assert "neither" in KIND.unfit({"path": PATH, "device": 1})


def test_another_file_of_that_name_is_found_refused_and_stays(machine):
    step = delete(machine)
    put(machine.paths.at("/srv/young"), "young")
    os.rename(machine.paths.at("/srv/young"), machine.paths.at(PATH))
    assert codes(machine, step.params) == ["file.changed"]
    assert KIND.probe(step, machine) is State.FOREIGN
    assert "stays" in KIND.foreign(step, machine)
    with pytest.raises(StepRefused) as caught:
        KIND.guard(step, machine)
    assert caught.value.code == "file.changed"
    with pytest.raises(StepRefused):
        KIND.apply(step, machine)
    assert there(machine)


def test_one_that_was_written_to_since_stays_though_it_is_the_same_inode(machine):
    step = delete(machine)
    os.utime(machine.paths.at(PATH), ns=(1, 1))
    with pytest.raises(StepRefused):
        KIND.guard(step, machine)
    assert there(machine)


@pytest.mark.parametrize("what", ["link", "directory"])
def test_what_is_no_plain_file_is_never_removed(machine, what):
    step, path = delete(machine), machine.paths.at(PATH)
    os.rename(path, f"{path}.away")
    os.symlink(f"{path}.away", path) if what == "link" else os.mkdir(path)
    assert codes(machine, step.params) == ["file.changed"]
    assert KIND.probe(step, machine) is State.FOREIGN
    with pytest.raises(StepRefused):
        KIND.apply(step, machine)
    assert os.path.exists(f"{path}.away")


def test_a_file_that_is_not_there_when_it_is_planned_is_found(machine):
    params = wish(machine)
    os.unlink(machine.paths.at(PATH))
    assert codes(machine, params) == ["file.changed"]


@pytest.mark.skipif(bool(MISSING), reason=f"missing: {', '.join(MISSING)}")
@pytest.mark.parametrize("readonly", [False, True], ids=["written", "read"])
def test_an_image_that_somebody_has_open_stays(machine, readonly):
    os.unlink(machine.paths.at(PATH))
    create(machine.paths.at(PATH))
    step = delete(machine)
    user = opened(machine.paths.at(PATH), readonly=readonly)
    with pytest.raises(StepRefused) as caught:
        KIND.guard(step, machine)
    assert caught.value.code == "disk.busy"
    with pytest.raises(StepRefused):
        KIND.apply(step, machine)
    user.communicate()
    assert do(step, machine) is None


def test_another_name_of_it_keeps_its_content(machine):
    path = machine.paths.at(PATH)
    os.link(path, f"{path}.too")
    do(delete(machine), machine)
    assert not there(machine)
    assert os.path.exists(f"{path}.too")


def test_in_a_directory_that_others_can_write_it_is_the_very_file_or_none(machine):
    """As the NVRAM of guests, whose directory is QEMU's user's."""
    step, elsewhere = delete(machine), machine.paths.at("/etc/precious")
    os.makedirs(elsewhere)
    put(f"{elsewhere}/old.qcow2", "precious")
    os.chmod(machine.paths.at("srv"), 0o777)
    os.rename(machine.paths.at("srv"), machine.paths.at("away"))
    os.symlink(elsewhere, machine.paths.at("srv"))
    with pytest.raises(StepRefused) as caught:
        do(step, machine)
    assert caught.value.code == "file.changed"
    assert os.path.exists(f"{elsewhere}/old.qcow2")
    os.unlink(machine.paths.at("srv"))
    os.rename(machine.paths.at("away"), machine.paths.at("srv"))
    assert do(step, machine) is None


def test_a_disk_that_fails_is_named(machine, monkeypatch):
    step = delete(machine)

    def fail(*_, **__):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "unlink", fail)
    with pytest.raises(StepFailed, match="Input/output error") as caught:
        KIND.apply(step, machine)
    assert caught.value.code == "file.delete_failed"
    assert KIND.probe(step, machine) is State.BEFORE


def test_a_directory_that_is_gone_took_it_along(machine):
    step = delete(machine)
    os.unlink(machine.paths.at(PATH))
    os.rmdir(machine.paths.at("srv"))
    assert KIND.probe(step, machine) is State.AFTER
    assert "gone" in do(step, machine)
