"""Durable files and locks."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from vfioctl import files
from vfioctl.errors import VfioctlError


def test_a_file_is_replaced_whole_with_its_mode(tmp_path):
    path = str(tmp_path / "state.json")
    files.write_json(path, {"a": 1})
    files.write_json(path, {"b": "é"})
    assert files.read_json(path) == {"b": "é"}
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["state.json"]


def test_a_failed_replacement_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = str(tmp_path / "state")
    files.atomic_write(path, "old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.atomic_write(path, "new")
    assert files.read_text(path) == "old"
    assert os.listdir(tmp_path) == ["state"]


def test_a_planted_link_is_not_followed(tmp_path):
    (tmp_path / "target").write_text("")
    os.symlink(tmp_path / "target", tmp_path / "guest.lock")
    with pytest.raises(OSError, match="symbolic links"):
        files.Lock(str(tmp_path / "guest.lock")).acquire()


def test_what_is_not_there_reads_as_none(tmp_path):
    assert files.read_text(str(tmp_path / "absent")) is None
    assert files.read_json(str(tmp_path / "absent" / "below")) is None
    files.remove(str(tmp_path / "absent"))


def test_a_held_lock_is_refused_with_the_pid_of_its_holder(tmp_path):
    path = str(tmp_path / "guest.lock")
    with files.Lock(path), pytest.raises(VfioctlError, match=str(os.getpid())) as caught:
        files.Lock(path).acquire(deadline=0.05)
    assert caught.value.code == "lock.busy"
    assert not files.Lock(path).is_held_elsewhere()


def test_a_child_that_inherits_the_lock_holds_it_after_us(tmp_path):
    lock = files.Lock(str(tmp_path / "guest.lock"))
    lock.acquire()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(lock.fd,))
    lock.release()
    assert files.Lock(lock.path).is_held_elsewhere()
    child.communicate(b"\n")
    assert not files.Lock(lock.path).is_held_elsewhere()


def test_a_renewed_lock_is_ours_alone(tmp_path):
    lock = files.Lock(str(tmp_path / "guest.lock"))
    lock.acquire()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(lock.fd,))
    files.renew_lock(lock.fd)
    assert files.Lock(lock.path).is_held_elsewhere()
    lock.release()
    assert not files.Lock(lock.path).is_held_elsewhere()
    child.communicate(b"\n")


def test_no_directory_is_writable_by_others_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        files.make_private_dir(str(tmp_path / "run" / "vfioctl" / "guests"))
    finally:
        os.umask(before)
    modes = [os.stat(tmp_path / place).st_mode & 0o777 for place in ("run", "run/vfioctl", "run/vfioctl/guests")]
    assert modes == [0o755, 0o755, 0o700]


@pytest.mark.parametrize(("mode", "directory"), [(0o600, 0o700), (0o644, 0o755)])
def test_a_file_for_everybody_is_in_a_directory_for_everybody(tmp_path, mode: int, directory: int):
    files.write_json(str(tmp_path / "state/file.json"), {}, mode=mode)
    assert (tmp_path / "state").stat().st_mode & 0o777 == directory


def test_a_new_file_takes_nobodys_place(tmp_path):
    there, link = tmp_path / "there", tmp_path / "link"
    there.write_text("mine")
    link.symlink_to(tmp_path / "elsewhere")
    for path in (there, link):
        with pytest.raises(FileExistsError):
            files.write_new(str(path), "yours")
    files.write_new(str(tmp_path / "new"), "text")
    assert (there.read_text(), link.exists(), (tmp_path / "new").read_text()) == ("mine", False, "text")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600
