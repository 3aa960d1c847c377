"""Who has a plain file open: real processes, on the real /proc."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vfioctl import wait
from vfioctl.host import cached_status
from vfioctl.host.file_users import users_of_file
from vfioctl.paths import Paths

REAL = Paths("/")


def ask(_path: str, work: Callable[[], Any]) -> Any:
    return work()


@pytest.fixture
def path(tmp_path: Path) -> str:
    (tmp_path / "disk.img").write_bytes(bytes(4096))
    return str(tmp_path / "disk.img")


@pytest.fixture
def opener() -> Iterator[Callable[[str, int], int]]:
    """Starts a process that has a path open with these flags; its pid."""
    started: list[subprocess.Popen[bytes]] = []

    def start(path: str, flags: int) -> int:
        script = f"import os, sys; os.open({path!r}, {flags}); print(flush=True); sys.stdin.read()"
        process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout is not None
        process.stdout.readline()
        return process.pid

    yield start
    for process in started:
        process.communicate()


def test_a_process_is_named_by_its_program_and_number(path: str, opener: Callable[[str, int], int]) -> None:
    pid = opener(path, os.O_RDONLY)
    (said,) = users_of_file(REAL, ask, path)
    comm = Path(f"/proc/{pid}/comm").read_text().strip()
    assert said == f"{comm} (pid {pid})"


def test_it_is_found_by_another_path_of_the_file_and_by_a_deleted_one(
    path: str, opener: Callable[[str, int], int]
) -> None:
    os.link(path, f"{path}.2")
    pid = opener(f"{path}.2", os.O_RDONLY)
    os.unlink(f"{path}.2")
    assert f"(pid {pid})" in users_of_file(REAL, ask, path)[0]


@pytest.mark.parametrize(("flags", "found"), [(os.O_RDONLY, 0), (os.O_WRONLY, 1), (os.O_RDWR, 1)])
def test_who_may_write_to_it_is_told_apart(
    path: str, opener: Callable[[str, int], int], flags: int, found: int
) -> None:
    opener(path, flags)
    assert len(users_of_file(REAL, ask, path, writing=True)) == found
    assert len(users_of_file(REAL, ask, path)) == 1


def test_who_has_only_its_name_open_has_it_not(path: str, opener: Callable[[str, int], int]) -> None:
    opener(path, os.O_PATH)
    assert users_of_file(REAL, ask, path) == ()


def test_neither_our_own_descriptor_nor_another_file_counts(path: str, opener: Callable[[str, int], int]) -> None:
    Path(f"{path}.other").touch()
    opener(f"{path}.other", os.O_RDWR)
    with open(path, "r+b"):
        assert users_of_file(REAL, ask, path) == ()


def test_who_only_looks_in_passing_does_not_count(
    path: str, opener: Callable[[str, int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = opener(path, os.O_RDONLY)
    monkeypatch.setattr(wait.time, "sleep", lambda _seconds: (os.kill(pid, 9), os.waitpid(pid, 0)))
    assert users_of_file(REAL, ask, path) == ()


def test_a_file_that_is_gone_has_nobody(path: str) -> None:
    os.unlink(path)
    assert users_of_file(REAL, ask, path) == ()


def test_a_loop_device_is_named(tmp_path: Path, path: str) -> None:
    backing = tmp_path / "sys/class/block/loop3/loop/backing_file"
    backing.parent.mkdir(parents=True)
    backing.write_text(f"{path}\n")
    (tmp_path / "sys/class/block/sda").mkdir()
    (tmp_path / "proc").symlink_to("/proc")
    assert users_of_file(Paths(str(tmp_path)), ask, path) == ("/dev/loop3",)


def test_the_kernel_knows_a_file_without_its_server(path: str) -> None:
    """What a pass asks once another one hung."""
    found = os.stat(path)
    assert cached_status.file(path) == (found.st_dev, found.st_ino)
    assert cached_status.of(path) == (found.st_mode, found.st_rdev)
