"""file.copy on real files."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import time

import pytest
from step_builders import OPERATION, planned, put

from vfioctl.errors import DeadlineExceeded, StepFailed, StepRefused, Unanswered
from vfioctl.kinds.disks import locks
from vfioctl.kinds.files import file_copy
from vfioctl.kinds.files.file_copy import KIND
from vfioctl.kinds.files.marks import MARK
from vfioctl.reach import Reach
from vfioctl.txn.machine import unwatched
from vfioctl.txn.step import State, StepProposal

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
    with pytest.raises(StepRefused, match="another content"):
        KIND.apply(planned(machine, "file.copy", PARAMS), machine)
    assert content(machine) == "precious"


@pytest.fixture(params=["marks", "no marks"])
def where(request, monkeypatch):
    """A file system that keeps extended attributes, and one that does not."""
    if request.param == "no marks":
        def refuse(*_, **__):
            raise OSError(errno.ENOTSUP, "Operation not supported")

        monkeypatch.setattr(file_copy.os, "setxattr", refuse)
        monkeypatch.setattr(file_copy.os, "getxattr", refuse)


@pytest.mark.parametrize("text", ["precious", "variables"], ids=["another content", "the same content"])
def test_a_file_that_appeared_after_the_plan_is_not_taken_for_ours(where, machine, text):
    step = planned(machine, "file.copy", PARAMS)
    put(machine.paths.at(PARAMS["dest"]), text)
    with pytest.raises(StepRefused) as caught:
        KIND.apply(step, machine)
    assert caught.value.code == "file.exists"
    assert f"rm -- {machine.paths.at(PARAMS['dest'])}" in caught.value.hints[0]
    assert content(machine) == text
    assert sorted(os.listdir(machine.paths.at("var/lib"))) == ["nvram.fd", "nvram.fd.before"]


def test_a_file_that_appears_while_we_copy_is_not_replaced(where, machine, monkeypatch):
    step, link = planned(machine, "file.copy", PARAMS), os.link

    def late(source, dest):
        put(dest, "precious")
        link(source, dest)

    monkeypatch.setattr(file_copy.os, "link", late)
    with pytest.raises(StepRefused, match="at this moment"):
        KIND.apply(step, machine)
    assert content(machine) == "precious"
    assert KIND.probe(step, machine) is State.FOREIGN
    assert sorted(os.listdir(machine.paths.at("var/lib"))) == ["nvram.fd", "nvram.fd.before"]


@pytest.mark.parametrize("moment", ["link", "remove", "sync_dir"])
def test_what_a_kill_at_any_moment_leaves_is_known_as_ours_and_removed(where, machine, monkeypatch, moment):
    """A kill is an exception that nothing handles: not even the removal of the temporary name."""
    step = planned(machine, "file.copy", PARAMS)
    place = {"link": file_copy.os, "remove": file_copy.files, "sync_dir": file_copy.files}[moment]
    real, calls = getattr(place, moment), []

    class KilledError(BaseException):
        pass

    def die(*arguments):
        calls.append(arguments)
        if moment == "remove" and len(calls) == 1:
            return real(*arguments)  # what an earlier try may have left
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(place, moment, die)
        if moment == "link":
            patched.setattr(file_copy.files, "remove", lambda path: os.path.lexists(path) and die(path))
        with pytest.raises(KilledError):
            KIND.apply(step, machine)
    assert KIND.probe(step, machine) in (State.AFTER, State.BETWEEN)
    KIND.undo(step, machine)
    assert os.listdir(machine.paths.at("var/lib")) == ["nvram.fd"]


def test_a_foreign_file_stays_where_our_temporary_name_is_left(where, machine):
    step = planned(machine, "file.copy", PARAMS)
    put(machine.paths.at(f"var/lib/.nvram.fd.before.{OPERATION}.vfioctl-new"), "vari")
    put(machine.paths.at(PARAMS["dest"]), "precious")
    assert KIND.probe(step, machine) is State.BETWEEN
    assert "not ours" in KIND.undo(step, machine)
    assert KIND.probe(step, machine) is State.FOREIGN
    assert content(machine) == "precious"


def test_what_is_foreign_is_named_with_the_command_that_removes_it(machine):
    step = planned(machine, "file.copy", {**PARAMS, "dest": "/var/lib/it's $mine"})
    path = put(machine.paths.at("/var/lib/it's $mine"), "precious")
    assert KIND.probe(step, machine) is State.FOREIGN
    subprocess.run(KIND.foreign(step, machine).partition("with: ")[2].removesuffix("."), shell=True, check=True)
    assert not os.path.exists(path)


def test_a_file_that_replaced_our_copy_is_foreign(machine):
    step = planned(machine, "file.copy", PARAMS)
    KIND.apply(step, machine)
    assert os.getxattr(machine.paths.at(PARAMS["dest"]), MARK) == OPERATION.encode()
    os.unlink(machine.paths.at(PARAMS["dest"]))
    put(machine.paths.at(PARAMS["dest"]), "variables")
    assert KIND.probe(step, machine) is State.FOREIGN


@pytest.mark.parametrize(("text", "state"), [("variables", State.AFTER), ("precious", State.FOREIGN)])
def test_a_step_of_schema_1_knows_its_copy_by_the_bytes(machine, text, state):
    step = planned(machine, "file.copy", PARAMS, baseline={"exists": False})
    put(machine.paths.at(PARAMS["dest"]), text)
    assert KIND.probe(step, machine) is state


def test_what_a_crash_left_half_copied_is_between_and_is_cleared_by_the_undo(machine):
    step = planned(machine, "file.copy", PARAMS)
    put(machine.paths.at(f"var/lib/.nvram.fd.before.{OPERATION}.vfioctl-new"), "vari")
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


# The image of a guest

OF_GUEST = {**PARAMS, "domain": "9f4f3a3a-8f0a-4b0e-9a53-0f2f0f7f1a11"}


def test_the_guest_of_an_image_does_not_start_while_that_is_copied():
    assert KIND.touches(OF_GUEST) == (f"domain:{OF_GUEST['domain']}",)
    assert KIND.touches(PARAMS) == ()


def test_an_image_that_a_guest_may_write_to_is_not_copied(machine):
    step = planned(machine, "file.copy", OF_GUEST)
    with open(machine.paths.at(PARAMS["source"]), "rb+") as image:
        fcntl.fcntl(image, fcntl.F_OFD_SETLK, locks.LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, locks.WRITES, 1, 0))
        with pytest.raises(StepRefused) as caught:
            KIND.apply(step, machine)
    assert caught.value.code == "disk.busy"
    assert os.listdir(machine.paths.at("var/lib")) == ["nvram.fd"]
    KIND.apply(step, machine)


def test_an_image_that_is_written_to_while_it_is_copied_leaves_no_copy(machine, monkeypatch):
    copy = file_copy._copy

    def written(source, dest, **more):
        copy(source, dest, **more)
        os.utime(source, ns=(1, 1))

    monkeypatch.setattr(file_copy, "_copy", written)
    with pytest.raises(StepRefused) as caught:
        KIND.apply(planned(machine, "file.copy", OF_GUEST), machine)
    assert caught.value.code == "disk.busy"
    assert os.listdir(machine.paths.at("var/lib")) == ["nvram.fd"]


# On a mount that may hang


@pytest.fixture
def doubtful(machine, monkeypatch):
    """The machine, whose files lie on a drive that may not answer."""
    monkeypatch.setattr(Reach, "is_doubtful", lambda _, path: path.startswith(machine.paths.at("var/lib")))
    return machine


@pytest.fixture
def slow(tmp_path, monkeypatch):
    """A copy that takes seconds; the file that grows for as long as somebody makes it."""
    growing = tmp_path / "growing"

    def copy(_source, _dest, told):
        for done in range(50):
            told(done, 50)
            with growing.open("a") as file:
                file.write("x")
            time.sleep(0.05)

    monkeypatch.setattr(file_copy.sparse, "copy", copy)
    return growing


def test_a_copy_there_is_made_and_tells_how_far_it_is(doubtful):
    told = []
    step, watched = planned(doubtful, "file.copy", PARAMS), doubtful.watched(lambda *now: told.append(now), unwatched)
    assert KIND.apply(step, watched) is None
    assert content(doubtful) == "variables"
    assert told[-1] == (9, 9, "bytes")


def test_what_is_refused_there_is_refused_as_elsewhere(doubtful):
    step = planned(doubtful, "file.copy", PARAMS)
    put(doubtful.paths.at(PARAMS["dest"]), "precious")
    with pytest.raises(StepRefused, match="another content"):
        KIND.apply(step, doubtful)


@pytest.mark.parametrize("stop", [StepFailed("engine.interrupted", "It was asked to stop."), KeyboardInterrupt()])
def test_a_copy_there_that_has_to_stop_goes_on_nowhere(doubtful, slow, stop):
    asked_of = os.getpid()

    def check():
        if os.getpid() == asked_of and slow.exists():
            raise stop

    step = planned(doubtful, "file.copy", PARAMS)
    with pytest.raises(type(stop)):
        KIND.apply(step, doubtful.watched(unwatched, check))
    made = slow.stat().st_size
    time.sleep(0.3)
    assert slow.stat().st_size == made
    KIND.undo(step, doubtful)
    assert os.listdir(doubtful.paths.at("var/lib")) == ["nvram.fd"]


def test_a_copy_there_that_falls_silent_is_given_up_in_its_time_and_the_undo_does_not_wait(doubtful, monkeypatch):
    monkeypatch.setattr(file_copy.sparse, "copy", lambda *_: time.sleep(60))
    step = planned(doubtful, "file.copy", PARAMS, deadline=0.3)
    for action in (KIND.apply, KIND.undo):
        with pytest.raises(Unanswered):
            action(step, doubtful)
