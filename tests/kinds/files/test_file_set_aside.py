"""file.set_aside on real files."""

from __future__ import annotations

import hashlib
import os

import pytest
from step_builders import planned, put

from vfioctl.errors import StepFailed, StepRefused
from vfioctl.kinds.files.file_set_aside import KIND
from vfioctl.txn.step import State, StepProposal

PATH = "/var/lib/ours.conf"


@pytest.fixture
def machine(plain):
    os.chmod(plain.paths.at("var/lib"), 0o755)
    os.chmod(put(plain.paths.at(PATH), "ours"), 0o640)
    return plain


def params(text="ours"):
    return {"path": PATH, "sha256": hashlib.sha256(text.encode()).hexdigest()}


def where(machine):
    return machine.paths.at(PATH)


def looks(machine):
    """Everything of the file that an undo puts back."""
    status = os.stat(where(machine))
    with open(where(machine), encoding="utf-8") as file:
        return file.read(), status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns


def codes(machine, given):
    return [one.code for one in KIND.check(StepProposal("x", "file.set_aside", given, "a test"), machine.host())]


def done(machine):
    step = planned(machine, "file.set_aside", params())
    KIND.guard(step, machine)
    KIND.apply(step, machine)
    return step


def test_a_file_is_removed_and_comes_back_as_it_was(machine):
    before = looks(machine)
    step = done(machine)
    assert not os.path.lexists(where(machine))
    assert KIND.probe(step, machine) is State.AFTER
    KIND.undo(step, machine)
    assert looks(machine) == before
    assert KIND.probe(step, machine) is State.BEFORE


def test_another_content_is_found_by_the_check(machine):
    assert codes(machine, params()) == []
    assert codes(machine, params("other")) == ["file.changed"]
    os.unlink(where(machine))
    assert codes(machine, params()) == ["file.changed"]


def test_what_has_changed_since_the_plan_stays(machine):
    step = planned(machine, "file.set_aside", params())
    put(where(machine), "precious")
    with pytest.raises(StepRefused, match="between plan and apply") as caught:
        KIND.guard(step, machine)
    assert caught.value.code == "file.changed"
    with pytest.raises(StepRefused):
        KIND.apply(step, machine)
    assert looks(machine)[0] == "precious"
    assert KIND.probe(step, machine) is State.FOREIGN
    assert PATH in KIND.foreign(step, machine)


def test_what_somebody_else_makes_in_its_place_is_foreign(machine):
    step = done(machine)
    put(where(machine), "precious")
    assert KIND.probe(step, machine) is State.FOREIGN


def test_an_undo_that_was_cut_off_is_ended(machine):
    before = looks(machine)
    step = done(machine)
    put(machine.paths.at(f"var/lib/.ours.conf.{step.baseline['operation']}.vfioctl-new"), "ha")
    assert KIND.probe(step, machine) is State.BETWEEN
    KIND.undo(step, machine)
    assert looks(machine) == before
    assert os.listdir(machine.paths.at("var/lib")).count("ours.conf") == 1


def test_a_file_with_further_names_is_not_removed(machine):
    os.link(where(machine), machine.paths.at("var/lib/other"))
    assert codes(machine, params()) == ["file.unrestorable"]


def test_a_disk_that_refuses_is_named(machine, monkeypatch):
    step = planned(machine, "file.set_aside", params())

    def refuse(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(StepFailed, match="Read-only file system") as caught:
        KIND.apply(step, machine)
    assert caught.value.code == "file.write_failed"
