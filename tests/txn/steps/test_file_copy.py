"""file.copy on real files."""

from __future__ import annotations

import os
import stat

import pytest
from step_builders import planned, put

from vfioctl.errors import DeadlineExceeded, StepFailed
from vfioctl.txn.step import State, StepProposal
from vfioctl.txn.steps.file_copy import KIND

PARAMS = {"source": "/var/lib/nvram.fd", "dest": "/var/lib/nvram.fd.before"}


@pytest.fixture
def machine(plain):
    os.chmod(put(plain.paths.at(PARAMS["source"]), "variables"), 0o640)
    return plain


def content(machine, name="dest"):
    with open(machine.paths.at(PARAMS[name]), encoding="utf-8") as file:
        return file.read()


def codes(machine):
    return [f.code for f in KIND.check(StepProposal("x", "file.copy", PARAMS, "a test"), machine.host())]


def test_a_copy_has_the_bytes_and_the_mode_of_its_source(machine):
    step = planned(machine, "file.copy", PARAMS)
    assert KIND.probe(step, machine) is State.BEFORE
    assert KIND.apply(step, machine) is None
    assert content(machine) == "variables"
    assert stat.S_IMODE(os.stat(machine.paths.at(PARAMS["dest"])).st_mode) == 0o640
    assert KIND.probe(step, machine) is State.AFTER
    assert sorted(os.listdir(machine.paths.at("var/lib"))) == ["nvram.fd", "nvram.fd.before"]


def test_the_undo_removes_the_copy_and_may_run_twice(machine):
    step = planned(machine, "file.copy", PARAMS)
    KIND.apply(step, machine)
    assert KIND.undo(step, machine) is None
    assert KIND.probe(step, machine) is State.BEFORE
    assert "is not there" in KIND.undo(step, machine)


def test_an_equal_copy_that_was_there_is_kept_by_apply_and_undo(machine):
    put(machine.paths.at(PARAMS["dest"]), "variables")
    step = planned(machine, "file.copy", PARAMS)
    assert "already" in KIND.apply(step, machine)
    assert "was there before" in KIND.undo(step, machine)
    assert content(machine) == "variables"


def test_another_file_at_the_destination_is_never_overwritten(machine):
    put(machine.paths.at(PARAMS["dest"]), "precious")
    assert codes(machine) == ["file.exists"]
    with pytest.raises(StepFailed, match="another content"):
        KIND.apply(planned(machine, "file.copy", PARAMS), machine)
    assert content(machine) == "precious"


def test_what_a_crash_left_half_copied_is_between_and_is_cleared_by_the_undo(machine):
    step = planned(machine, "file.copy", PARAMS)
    put(machine.paths.at("var/lib/.nvram.fd.before.vfioctl-new"), "vari")
    assert KIND.probe(step, machine) is State.BETWEEN
    KIND.undo(step, machine)
    assert os.listdir(machine.paths.at("var/lib")) == ["nvram.fd"]


def test_a_copy_that_takes_too_long_leaves_nothing(machine):
    with pytest.raises(DeadlineExceeded):
        KIND.apply(planned(machine, "file.copy", PARAMS, deadline=0.0), machine)
    assert os.listdir(machine.paths.at("var/lib")) == ["nvram.fd"]


def test_a_missing_source_is_found_by_the_check(machine):
    os.unlink(machine.paths.at(PARAMS["source"]))
    assert codes(machine) == ["file.missing"]


def test_a_directory_that_vanished_is_a_failure_in_words(machine):
    step = planned(machine, "file.copy", {**PARAMS, "dest": "/var/gone/copy"})
    with pytest.raises(StepFailed, match="could not be copied"):
        KIND.apply(step, machine)
