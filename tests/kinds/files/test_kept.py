"""Parts that outlive their operation: one for an address, ours alone, and not for ever."""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vfioctl.kinds.files import kept, partial
from vfioctl.kinds.files.kept import DAYS, Kept
from vfioctl.paths import Paths

URL = "https://host/image.qcow2?token=hunter2"


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    made = Paths(str(tmp_path))
    os.makedirs(made.state)
    return made


@contextmanager
def opened(paths: Paths, url: str = URL) -> Iterator[int]:
    fd = Kept(paths, url).open()
    try:
        yield fd
    finally:
        os.close(fd)


def leave(paths: Paths, url: str = URL, *, days: float = 0.0) -> str:
    """What has come of `url` so long ago."""
    with opened(paths, url) as fd:
        os.write(fd, b"begun")
    then = time.time() - days * 24 * 3600
    os.utime(Kept(paths, url).path, (then, then))
    return Kept(paths, url).path


def test_what_was_left_is_found_again_by_its_address(paths: Paths) -> None:
    leave(paths)
    with opened(paths) as fd:
        assert os.read(fd, 9) == b"begun"
    with opened(paths, "https://host/another") as fd:
        assert os.read(fd, 9) == b""


def test_nobody_else_may_look_at_it_and_its_name_tells_nothing(paths: Paths) -> None:
    path = leave(paths)
    assert "hunter2" not in path
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(paths.downloads).st_mode) == 0o700


def test_it_goes_with_its_directory(paths: Paths) -> None:
    leave(paths)
    other = leave(paths, "https://host/another")
    Kept(paths, URL).drop()
    assert os.listdir(paths.downloads) == [os.path.basename(other)]
    Kept(paths, "https://host/another").drop()
    assert not os.path.exists(paths.downloads)
    Kept(paths, URL).drop()


def test_its_size_is_what_has_come(paths: Paths) -> None:
    assert Kept(paths, URL).size == 0
    leave(paths)
    assert Kept(paths, URL).size == 5


def test_what_nobody_goes_on_with_is_removed_after_some_days(paths: Paths) -> None:
    leave(paths, days=DAYS + 0.1)
    recent = leave(paths, "https://host/another", days=DAYS - 0.1)
    kept.sweep(paths.downloads)
    assert os.listdir(paths.downloads) == [os.path.basename(recent)]


def test_so_it_is_when_another_one_is_begun(paths: Paths) -> None:
    old = leave(paths, days=DAYS + 0.1)
    with opened(paths, "https://host/another"):
        assert not os.path.exists(old)


@pytest.mark.parametrize("whose", ["somebody's", "without a mark", "in use", "another name"])
def test_what_is_not_ours_stays_however_old_it_is(paths: Paths, whose: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partial, "ENDING", 0.1)
    path = leave(paths, days=DAYS + 0.1)
    fd = os.open(path, os.O_RDWR)
    if whose == "somebody's":
        os.chown(path, 65534, 65534)
    elif whose == "without a mark":
        os.removexattr(path, "user.vfioctl.operation")
    elif whose == "in use":
        fcntl.flock(fd, fcntl.LOCK_EX)
    else:
        os.rename(path, f"{path}.txt")
    kept.sweep(paths.downloads)
    assert len(os.listdir(paths.downloads)) == 1
    os.close(fd)


def test_a_link_in_its_place_is_not_followed(paths: Paths, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    os.unlink(path := leave(paths))
    os.symlink(victim, path)
    with opened(paths) as fd:
        os.write(fd, b"new")
    assert victim.read_bytes() == b"precious"
    assert not os.path.islink(path)


def test_where_there_is_none_nothing_is_swept(paths: Paths) -> None:
    kept.sweep(paths.downloads)
