"""undo.sh waits for who has the device open, by its number: a file that is only called like its node keeps no card."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from locked_memory import ALICE, locked, running_as, unanswered

from vfioctl.handoff.undo_sh import LIBRARY

SHELLS = {"dash": ["dash"], "bash": ["bash"], "posix": ["bash", "--posix"], "busybox": ["busybox", "sh"]}
ADDRESS, GROUP, CDEV = "0000:01:00.0", "14", "vfio3"
NODE = "/dev/fuse"  # a character device that a process of this machine can really open
OPEN = """\
import os, sys, time
files = [os.open(path, os.O_RDWR | os.O_CREAT, 0o600) for path in sys.argv[1:]]
print("open", flush=True)
time.sleep(600)
"""
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="a process of another user needs root"),
    pytest.mark.usefixtures("alone"),
]


@pytest.fixture(params=SHELLS)
def is_open(request: pytest.FixtureRequest, place: Path) -> Callable[..., bool]:
    """Whether undo.sh takes the device for open, by `holder`; the VFIO nodes have the number of a real device."""
    if not shutil.which(SHELLS[request.param][0]):
        pytest.skip(f"{request.param} is not installed")
    base = place / f"sys/bus/pci/devices/{ADDRESS}"
    (base / f"vfio-dev/{CDEV}").mkdir(parents=True)
    (base / "iommu_group").symlink_to(f"../../../../kernel/iommu_groups/{GROUP}")
    (place / "dev/vfio/devices").mkdir(parents=True)
    (place / "work").mkdir()
    number = os.stat(NODE).st_rdev
    os.mknod(place / f"dev/vfio/{GROUP}", 0o20666, number)
    os.mknod(place / f"dev/vfio/devices/{CDEV}", 0o20666, os.makedev(1, 3))
    library = Path(LIBRARY).read_text()

    def ask(*, path: str = "", times: int = 1, holder: int = 0) -> bool:
        variables = f"SYS='{place}/sys' PROC=/proc ROOT='{place}' work='{place}/work'\n"
        body = library.replace("PATH=/usr/sbin", f"PATH={path}:/nowhere", 1) if path else library
        looks = f"for n in $(seq {times}); do is_open {ADDRESS}; rc=$?; done; echo \"${{holder-}}\"; exit $rc\n"
        program, *options = SHELLS[request.param]
        argv = [shutil.which(program) or "", *options, "-u", "-c", variables + body + looks]
        ended = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)
        assert ended.stderr == ""
        assert not holder or ended.stdout.strip() == str(holder)
        assert ended.returncode in (0, 1)
        return ended.returncode == 0

    return ask


@pytest.fixture
def held() -> Iterator[Callable[..., int]]:
    """Lets a process of a user have files open."""
    with ExitStack() as stack:
        def hold(*paths: str | Path, uid: int = ALICE) -> int:
            argv = (sys.executable, "-c", OPEN, *map(str, paths))
            return stack.enter_context(running_as(uid, *argv, say=True)).pid

        yield hold


def alices(place: Path, *parts: str) -> Path:
    """A place of hers for a file."""
    path = place.joinpath("alice", *parts)
    path.parent.mkdir(parents=True)
    for directory in (path.parent, *path.parent.parents):
        if directory == place:
            break
        os.chown(directory, ALICE, ALICE)
    return path


def test_nobody_has_it_open(is_open: Callable[..., bool]):
    assert not is_open()


@pytest.mark.parametrize("node", [f"dev/vfio/{GROUP}", f"dev/vfio/devices/{CDEV}"])
def test_whoever_has_the_node_open_has_it_open(is_open, held, place: Path, node: str):
    pid = held(place / node, uid=0)
    assert is_open(holder=pid)


def test_whoever_has_it_open_by_another_path_has_it_open(is_open, held, place: Path):
    """QEMU has a /dev of its own."""
    other = place / f"namespace/dev/vfio/{GROUP}"
    other.parent.mkdir(parents=True)
    os.mknod(other, 0o20666, os.stat(NODE).st_rdev)
    held(other, uid=0)
    assert is_open()


@pytest.mark.parametrize(
    "parts",
    [("dev", "vfio", GROUP), ("dev", "vfio", "devices", CDEV), (f"x -> {'dev'}", "dev", "vfio", GROUP),
     ("new\nline", "dev", "vfio", GROUP), ("proc\n/proc/1/fd:\nx -> ", "dev", "vfio", GROUP)],
    ids=["group", "device", "arrow", "newline", "head"],
)  # fmt: skip
def test_a_file_that_is_called_like_the_node_does_not_count(is_open, held, place: Path, parts: tuple[str, ...]):
    held(alices(place, *parts))
    assert not is_open()


def test_nor_does_another_device_that_is_called_like_it(is_open, held, place: Path):
    other = place / f"other/dev/vfio/{GROUP}"
    other.parent.mkdir(parents=True)
    os.mknod(other, 0o20666, os.makedev(1, 3))
    held(other, uid=0)
    (place / f"dev/vfio/devices/{CDEV}").unlink()
    assert not is_open()


def test_nor_does_another_group_whose_number_ends_alike(is_open, held, place: Path):
    other = place / f"dev/vfio/1{GROUP}"
    os.mknod(other, 0o20666, os.makedev(1, 5))
    held(other, uid=0)
    assert not is_open()


def test_a_holder_is_found_among_files_that_are_only_called_so(is_open, held, place: Path):
    held(alices(place, "dev", "vfio", GROUP))
    held(place / f"dev/vfio/{GROUP}", uid=0)
    assert is_open()


def test_a_process_whose_memory_is_locked_is_not_waited_for(is_open, place: Path):
    with locked(place / "mount"):
        began = time.monotonic()
        assert not is_open(times=3)
        assert time.monotonic() - began < 10


def test_a_file_of_that_name_that_does_not_answer_is_asked_once(is_open, held, place: Path):
    with unanswered(alices(place, "dev", "vfio"), name=GROUP):
        began = time.monotonic()
        assert not is_open(times=6)
        assert time.monotonic() - began < 10
        held(place / f"dev/vfio/{GROUP}", uid=0)
        assert is_open()


def test_without_stat_the_whole_name_decides(is_open, held, place: Path):
    tools = place / "tools"
    tools.mkdir()
    for name in ("ls", "readlink", "seq", "rm", "grep", "sleep", "cat"):
        (tools / name).symlink_to(shutil.which(name) or "")
    held(alices(place, "dev", "vfio", GROUP))
    assert not is_open(path=str(tools))
    pid = held(place / f"dev/vfio/{GROUP}", uid=0)
    assert is_open(path=str(tools), holder=pid)
