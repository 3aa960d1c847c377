"""Copies of content: by sharing blocks where the file system can, else the data without the holes."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import sys

import pytest

from vfioctl.errors import DeadlineExceeded
from vfioctl.kinds.files import sparse

MIB = 1 << 20


@pytest.fixture
def holes(tmp_path):
    """1 GiB with data in three places, one of them at the end."""
    path = tmp_path / "source"
    with path.open("wb") as file:
        for place, text in ((0, b"first"), (300 * MIB + 5, b"middle" * 1000), (1024 * MIB - 4, b"last")):
            file.seek(place)
            file.write(text)
    return path


def copy(source, dest, told=lambda _done, _size: None):
    with open(source, "rb") as reading, open(dest, "wb") as writing:
        sparse.copy(reading.fileno(), writing.fileno(), told)


def test_a_copy_has_the_bytes_and_takes_no_more_room(holes, tmp_path):
    copy(holes, tmp_path / "copy")
    subprocess.run(["cmp", holes, tmp_path / "copy"], check=True)
    assert os.stat(tmp_path / "copy").st_blocks <= os.stat(holes).st_blocks


@pytest.mark.parametrize("size", [0, 5 * MIB])
def test_a_file_without_data_keeps_its_size(tmp_path, size):
    (tmp_path / "source").touch()
    os.truncate(tmp_path / "source", size)
    copy(tmp_path / "source", tmp_path / "copy")
    assert os.stat(tmp_path / "copy").st_size == size
    assert os.stat(tmp_path / "copy").st_blocks == 0


def test_it_tells_how_far_it_is(holes, tmp_path):
    told = []
    copy(holes, tmp_path / "copy", lambda done, size: told.append((done, size)))
    assert told == sorted(told)
    assert told[0] == (0, 1024 * MIB)
    assert told[-1] == (1024 * MIB, 1024 * MIB)


def test_what_hears_it_can_end_it(holes, tmp_path):
    def stop(done, _size):
        if done:
            raise DeadlineExceeded("step.deadline", "It did not end in time.")

    with pytest.raises(DeadlineExceeded):
        copy(holes, tmp_path / "copy", stop)


def test_a_file_system_that_fails_is_not_taken_for_one_that_shares_nothing(holes, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fcntl, "ioctl", fail)
    with pytest.raises(OSError, match="No space left"):
        copy(holes, tmp_path / "copy")


LOOP = """
truncate -s 256M "$1/image" && mkdir "$1/on" && mkfs.btrfs -q "$1/image" >/dev/null &&
mount -o loop "$1/image" "$1/on" &&
exec "$2" -c "$3" "$1/on"
"""
WORK = """
import os, sys
from vfioctl.kinds.files import sparse
place = sys.argv[1]
with open(f"{place}/source", "wb") as file:
    for _ in range(100):
        file.write(os.urandom(1 << 20))
os.sync()
before = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize
with open(f"{place}/source", "rb") as one, open(f"{place}/copy", "wb") as other:
    sparse.copy(one.fileno(), other.fileno(), lambda *_: None)
    os.fsync(other.fileno())
os.sync()
same = open(f"{place}/source", "rb").read() == open(f"{place}/copy", "rb").read()
print(before - os.statvfs(place).f_bavail * os.statvfs(place).f_frsize, same)
"""


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mkfs.btrfs"), reason="needs root and mkfs.btrfs")
def test_where_the_file_system_can_a_copy_of_100_mib_shares_its_blocks(tmp_path):
    argv = ["unshare", "-m", "--propagation", "private", "sh", "-c", LOOP, "sh", str(tmp_path), sys.executable, WORK]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    if "mount" in done.stderr:
        pytest.skip(f"no loop device: {done.stderr}")
    assert done.returncode == 0, done.stderr
    took, same = done.stdout.split()
    assert same == "True"
    assert int(took) < 10 * MIB
