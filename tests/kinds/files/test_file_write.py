"""file.write on real files."""

from __future__ import annotations

import errno
import os
import stat
import subprocess

import pytest
from step_builders import OPERATION, planned, put

from vfioctl.errors import StepFailed, StepRefused
from vfioctl.kinds.files import place
from vfioctl.kinds.files.file_write import KIND
from vfioctl.kinds.files.marks import MARK
from vfioctl.txn import blobs
from vfioctl.txn.step import State, StepProposal, Undo

PATH = "/var/lib/seed.iso"
TEMPORARY = f"var/lib/.seed.iso.{OPERATION}.vfioctl-new"


@pytest.fixture
def machine(plain):
    os.chmod(plain.paths.at("var/lib"), 0o755)
    return plain


def params(machine, text="new", **more):
    blob = blobs.store(machine.paths, text.encode())
    return {"path": PATH, "blob": blob.name, "size": blob.size, **more}


def write(machine, text="new", **more):
    return planned(machine, "file.write", params(machine, text, **more))


def where(machine):
    return machine.paths.at(PATH)


def content(machine):
    with open(where(machine), encoding="utf-8") as file:
        return file.read()


def names(machine):
    return sorted(os.listdir(machine.paths.at("var/lib")))


def kept(machine):
    """The names of the blobs."""
    return sorted(os.listdir(machine.paths.blobs))


def codes(machine, given):
    return [f.code for f in KIND.check(StepProposal("x", "file.write", given, "a test"), machine.host())]


def do(step, machine):
    KIND.guard(step, machine)
    return KIND.apply(step, machine)


def looks(machine):
    """Everything of the file that an undo puts back."""
    status = os.stat(where(machine))
    return content(machine), status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns


@pytest.fixture(params=["marks", "no marks"])
def on(request, machine, monkeypatch):
    """A file system that keeps extended attributes, and one that does not."""
    if request.param == "no marks":

        def refuse(*_, **__):
            raise OSError(errno.ENOTSUP, "Operation not supported")

        for name in ("setxattr", "getxattr", "listxattr"):
            monkeypatch.setattr(os, name, refuse)
    return machine


def test_the_plan_names_the_content_and_does_not_hold_it(machine):
    step = write(machine, "password: hunter2")
    assert "hunter2" not in repr(step)
    path = os.path.join(machine.paths.blobs, step.params["blob"])
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(machine.paths.blobs).st_mode) == 0o700


def test_a_file_is_written_with_its_mode_and_owner_and_removed_again(on):
    step = write(on, mode="0640", uid=os.getuid(), gid=os.getgid())
    assert KIND.probe(step, on) is State.BEFORE
    assert do(step, on) is None
    assert content(on) == "new"
    assert stat.S_IMODE(os.stat(where(on)).st_mode) == 0o640
    assert names(on) == ["seed.iso", "vfioctl"]
    assert KIND.probe(step, on) is State.AFTER
    assert KIND.undo(step, on) is None
    assert names(on) == ["vfioctl"]
    assert KIND.probe(step, on) is State.BEFORE
    assert "not there" in KIND.undo(step, on)


def test_the_umask_of_a_daemon_changes_no_permission(machine):
    before = os.umask(0o077)
    try:
        do(write(machine), machine)
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(where(machine)).st_mode) == 0o644


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a file away")
def test_root_gives_the_file_to_another_user(machine):
    do(write(machine, uid=4711, gid=4712), machine)
    status = os.stat(where(machine))
    assert (status.st_uid, status.st_gid) == (4711, 4712)


def test_a_file_that_is_there_is_found_by_the_check_and_never_replaced(machine):
    given = params(machine)
    assert codes(machine, given) == []
    step = planned(machine, "file.write", given)
    put(where(machine), "precious")
    assert codes(machine, given) == ["file.exists"]
    with pytest.raises(StepRefused, match="somebody else") as caught:
        KIND.guard(step, machine)
    assert caught.value.code == "file.exists"
    assert content(machine) == "precious"


@pytest.mark.parametrize("text", ["precious", "new"], ids=["another content", "the same content"])
def test_a_file_that_appears_while_we_write_is_refused_and_stays(on, monkeypatch, text):
    step, link = write(on), os.link

    def late(*names, **fds):
        put(where(on), text)
        link(*names, **fds)

    KIND.guard(step, on)
    monkeypatch.setattr(place.os, "link", late)
    with pytest.raises(StepRefused, match="at this moment") as caught:
        KIND.apply(step, on)
    assert caught.value.code == "file.exists"
    assert f"rm -- {where(on)}" in caught.value.hints[0]
    assert content(on) == text
    assert names(on) == ["seed.iso", "vfioctl"]


def test_what_is_foreign_is_named_with_the_command_that_removes_it(machine):
    step = write(machine, path="/var/lib/it's $mine")
    path = put(machine.paths.at("/var/lib/it's $mine"), "precious")
    assert KIND.probe(step, machine) is State.FOREIGN
    subprocess.run(KIND.foreign(step, machine).partition("with: ")[2].removesuffix("."), shell=True, check=True)
    assert not os.path.exists(path)


def test_a_file_that_took_the_place_of_ours_is_foreign_though_it_says_the_same(machine):
    step = write(machine)
    do(step, machine)
    assert os.getxattr(where(machine), MARK) == OPERATION.encode()
    os.unlink(where(machine))
    put(where(machine), "new")
    assert KIND.probe(step, machine) is State.FOREIGN
    assert "not ours" in KIND.undo(step, machine)
    assert content(machine) == "new"


class KilledError(BaseException):
    """Nothing handles it, and nothing is tidied up."""


@pytest.mark.parametrize("moment", ["write_all", "link", "unlink", "fsync"])
@pytest.mark.parametrize("replace", [False, True], ids=["new", "replaced"])
def test_what_a_kill_at_any_moment_leaves_is_known_and_put_back(on, monkeypatch, moment, replace):
    if replace:
        os.chmod(put(where(on), "old"), 0o600)
    before = looks(on) if replace else None
    step = write(on, replace=replace)
    KIND.guard(step, on)
    with monkeypatch.context() as patched:
        real, started = getattr(place if moment == "write_all" else os, moment), []

        def die(*arguments, **more):
            if moment == "fsync" and len(started) < (2 if replace else 0):  # of the blob, which comes before
                started.append(1)
                return real(*arguments, **more)
            raise KilledError

        patched.setattr(place if moment == "write_all" else place.os, moment, die)
        if moment != "unlink":
            patched.setattr(place.Place, "remove", lambda self, name: self.status(name) and die())
        if replace and moment == "link":
            patched.setattr(place.os, "rename", die)
        with pytest.raises(KilledError):
            KIND.apply(step, on)
    KIND.undo(step, on)
    assert KIND.probe(step, on) is State.BEFORE
    assert names(on) == (["seed.iso", "vfioctl"] if replace else ["vfioctl"])
    assert not replace or looks(on) == before


def test_what_is_replaced_comes_back_byte_for_byte(on):
    os.chmod(put(where(on), "old\r\n\0"), 0o604)
    os.utime(where(on), ns=(1, 1_234_567_890_123_456_789))
    before = looks(on)
    given = params(on, replace=True, mode="0600")
    assert codes(on, given) == []
    step = planned(on, "file.write", given)
    assert KIND.probe(step, on) is State.BEFORE
    do(step, on)
    assert content(on) == "new"
    assert KIND.probe(step, on) is State.AFTER
    assert len(kept(on)) == 2
    assert KIND.undo(step, on) is None
    assert looks(on) == before
    assert names(on) == ["seed.iso", "vfioctl"]
    assert KIND.probe(step, on) is State.BEFORE
    assert "not ours" in KIND.undo(step, on)


def test_what_is_written_for_good_stays_and_its_plan_says_so(machine):
    put(where(machine), "old")
    step = write(machine, replace=True, for_good=True)
    assert KIND.undo_of(step.params) is step.undo is Undo.NONE
    do(step, machine)
    assert KIND.undo(step, machine) == "it stays"
    assert content(machine) == "new"


def test_what_another_operation_has_written_bears_its_mark_again(machine):
    put(where(machine), "old")
    os.setxattr(where(machine), MARK, b"another")
    step = write(machine, replace=True)
    do(step, machine)
    KIND.undo(step, machine)
    assert os.getxattr(where(machine), MARK) == b"another"


@pytest.mark.parametrize("change", ["content", "mode", "gone"])
def test_a_file_that_changed_since_the_plan_is_not_replaced(on, change):
    put(where(on), "old")
    step = write(on, replace=True)
    match change:
        case "content":
            put(where(on), "young")
        case "mode":
            os.chmod(where(on), 0o600)
        case _:
            os.unlink(where(on))
    with pytest.raises(StepRefused, match="between plan and apply") as caught:
        KIND.guard(step, on)
    assert caught.value.code == "file.changed"
    with pytest.raises(StepFailed):
        KIND.apply(step, on)
    assert len(kept(on)) == 1
    assert names(on) == (["vfioctl"] if change == "gone" else ["seed.iso", "vfioctl"])


def test_a_file_that_changes_while_we_write_is_not_replaced(on, monkeypatch):
    put(where(on), "old")
    step, real = write(on, replace=True), place.Place.write

    def late(self, *given, **more):
        real(self, *given, **more)
        put(where(on), "edited")

    KIND.guard(step, on)
    monkeypatch.setattr(place.Place, "write", late)
    with pytest.raises(StepRefused) as caught:
        KIND.apply(step, on)
    assert caught.value.code == "file.changed"
    assert content(on) == "edited"
    assert names(on) == ["seed.iso", "vfioctl"]


def test_replacing_what_is_not_there_only_makes_it(machine):
    step = write(machine, replace=True)
    do(step, machine)
    assert KIND.undo(step, machine) is None
    assert names(machine) == ["vfioctl"]


def test_what_somebody_changed_after_us_stays(machine):
    put(where(machine), "old")
    step = write(machine, replace=True)
    do(step, machine)
    os.unlink(where(machine))
    put(where(machine), "edited")
    assert KIND.probe(step, machine) is State.FOREIGN
    assert "not ours" in KIND.undo(step, machine)
    assert content(machine) == "edited"


def test_what_somebody_wrote_before_we_began_is_not_taken_for_ours(on):
    """Also where the file system keeps no marks, and it says just what we were to write."""
    put(where(on), "old")
    step = write(on, replace=True)
    put(where(on), "new")
    assert KIND.probe(step, on) is State.FOREIGN
    assert "not ours" in KIND.undo(step, on)
    assert content(on) == "new"


def test_what_somebody_removed_after_us_comes_back_as_it_was(machine):
    put(where(machine), "old")
    step = write(machine, replace=True)
    do(step, machine)
    os.unlink(where(machine))
    assert KIND.probe(step, machine) is State.BETWEEN
    KIND.undo(step, machine)
    assert content(machine) == "old"
    assert KIND.probe(step, machine) is State.BEFORE


@pytest.mark.parametrize("what", ["link", "hard link", "directory", "attribute"])
def test_what_could_not_be_put_back_is_not_replaced(machine, what):
    other = put(machine.paths.at("var/victim"), "precious")
    match what:
        case "link":
            os.symlink(other, where(machine))
        case "hard link":
            os.link(other, where(machine))
        case "directory":
            os.mkdir(where(machine))
        case _:
            put(where(machine), "old")
            os.setxattr(where(machine), "user.theirs", b"1")
    given = params(machine, replace=True)
    assert codes(machine, given) == ["file.unrestorable"]
    with pytest.raises(StepFailed):
        KIND.guard(planned(machine, "file.write", given), machine)
    with open(other, encoding="utf-8") as file:
        assert file.read() == "precious"


def test_a_link_in_the_place_of_the_file_is_not_followed(machine):
    step = write(machine)
    victim = machine.paths.at("var/victim")
    KIND.guard(step, machine)
    os.symlink(victim, where(machine))
    with pytest.raises(StepRefused):
        KIND.apply(step, machine)
    assert not os.path.exists(victim)
    assert KIND.probe(step, machine) is State.FOREIGN


def test_a_directory_that_others_can_write_is_refused(machine):
    step, given = write(machine), params(machine)
    os.chmod(machine.paths.at("var/lib"), 0o777)
    assert codes(machine, given) == ["file.unsafe"]
    with pytest.raises(StepRefused) as caught:
        KIND.guard(step, machine)
    assert caught.value.code == "file.unsafe"


def test_a_directory_that_is_missing_is_found_and_refused_and_nothing_is_left_to_undo(machine):
    step = write(machine, path="/var/gone/file")
    assert codes(machine, step.params) == ["file.missing"]
    with pytest.raises(StepRefused):
        KIND.guard(step, machine)
    assert KIND.probe(step, machine) is State.BEFORE
    assert "gone" in KIND.undo(step, machine)


def test_a_directory_that_is_to_be_made_is_there_with_its_mode_and_stays(machine):
    step = write(machine, path="/var/new/below/file", directory="0700")
    assert codes(machine, step.params) == []
    assert KIND.probe(step, machine) is State.BEFORE
    do(step, machine)
    made = machine.paths.at("var/new/below")
    assert (os.listdir(made), stat.S_IMODE(os.stat(made).st_mode)) == (["file"], 0o700)
    assert stat.S_IMODE(os.stat(os.path.dirname(made)).st_mode) == 0o755
    assert KIND.undo(step, machine) is None
    assert os.listdir(made) == []


def test_a_directory_that_is_there_keeps_its_mode(machine):
    do(write(machine, directory="0700"), machine)
    assert stat.S_IMODE(os.stat(machine.paths.at("var/lib")).st_mode) == 0o755


def test_a_directory_is_not_made_where_others_can_write(machine):
    step = write(machine, path="/var/lib/new/file", directory="0700")
    os.chmod(machine.paths.at("var/lib"), 0o777)
    assert codes(machine, step.params) == ["file.unsafe"]
    with pytest.raises(StepRefused):
        do(step, machine)
    assert not os.path.exists(where(machine))


def test_content_that_is_gone_is_found_before_anything_is_touched(machine):
    step = write(machine)
    blobs.drop(machine.paths, step.params["blob"])
    assert codes(machine, step.params) == ["blob.missing"]
    with pytest.raises(StepFailed) as caught:
        KIND.guard(step, machine)
    assert caught.value.code == "blob.missing"
    assert names(machine) == ["vfioctl"]


def test_a_full_disk_is_named_and_leaves_nothing(machine, monkeypatch):
    step = write(machine)

    def full(_fd, _data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(place, "write_all", full)
    with pytest.raises(StepFailed, match="No space left on device") as caught:
        do(step, machine)
    assert caught.value.code == "file.write_failed"
    assert names(machine) == ["vfioctl"]
    assert KIND.probe(step, machine) is State.BEFORE


@pytest.mark.parametrize("wrong", [
    {"path": "seed"}, {"path": "/a/../b"}, {"path": "/a/"}, {"blob": "../journal/x"}, {"mode": "4755"},
    {"mode": "0200"}, {"mode": 420}, {"uid": -1}, {"size": "3"},
], ids=str)  # fmt: skip
def test_parameters_that_cannot_be_meant_are_refused(machine, wrong):
    assert KIND.unfit({**params(machine), **wrong})


def test_a_directory_of_another_user_is_written_to_where_that_is_said_and_the_way_to_it_is_safe(machine):
    os.chmod(machine.paths.at("var/lib"), 0o777)
    step, given = write(machine, theirs=True, mode="0600"), params(machine, theirs=True)
    assert codes(machine, given) == []
    do(step, machine)
    assert content(machine) == "new"
    os.chmod(machine.paths.at("var"), 0o777)
    assert codes(machine, params(machine, theirs=True, replace=True)) == ["file.unsafe"]
    with pytest.raises(StepRefused) as caught:
        KIND.guard(write(machine, theirs=True, replace=True), machine)
    assert caught.value.code == "file.unsafe"
