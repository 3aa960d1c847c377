"""Whether a process has a VFIO node open: by number, and without waiting for other files."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from locked_memory import running_as, unanswered

from vfioctl.host.model import DeviceNode
from vfioctl.host.nodes import is_open_in
from vfioctl.paths import Paths

PATHS = Paths("/")
GROUP = 14
NUMBER = (10, 229)  # of a device that a process of this machine can really open
NODE = DeviceNode(f"/dev/vfio/{GROUP}", NUMBER, "vfio", "0000:01:00.0")
OPEN = """\
import os, sys, time
files = [os.open(path, os.O_RDWR) for path in sys.argv[1:]]
print("open", flush=True)
time.sleep(600)
"""
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="making a node needs root")


@pytest.fixture
def holder() -> Iterator[Callable[..., int]]:
    """Starts a process that has these files open."""
    with ExitStack() as stack:
        def hold(*files: Path) -> int:
            return stack.enter_context(running_as(0, sys.executable, "-c", OPEN, *map(str, files), say=True)).pid

        yield hold


def node(place: Path, *parts: str, number: tuple[int, int] = NUMBER) -> Path:
    path = place.joinpath("dev/vfio", *parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mknod(path, 0o20600, os.makedev(*number))
    return path


@pytest.mark.parametrize("parts", [(str(GROUP),), ("7",), ("devices", "vfio3")])
def test_the_number_decides(tmp_path: Path, holder, parts: tuple[str, ...]) -> None:
    assert is_open_in(PATHS, holder(node(tmp_path, *parts)), (NODE,)) is True


def test_another_number_does_not_count(tmp_path: Path, holder) -> None:
    assert is_open_in(PATHS, holder(node(tmp_path, str(GROUP), number=(1, 3))), (NODE,)) is False


def test_nor_does_a_file_or_a_block_device_of_that_name_and_number(tmp_path: Path, holder) -> None:
    (tmp_path / "dev/vfio").mkdir(parents=True)
    (tmp_path / f"dev/vfio/{GROUP}").touch()
    assert is_open_in(PATHS, holder(tmp_path / f"dev/vfio/{GROUP}"), (NODE,)) is False


def test_a_process_that_has_ended_has_nothing_open() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    assert is_open_in(PATHS, child.pid, (NODE,)) is False


@pytest.mark.parametrize("name", ["disk.qcow2", str(GROUP)])
@pytest.mark.usefixtures("alone")
def test_a_share_that_is_gone_is_not_waited_for(tmp_path: Path, name: str) -> None:
    place = tmp_path / ("vfio" if name != str(GROUP) else "dev/vfio")
    place.parent.mkdir(exist_ok=True)
    with unanswered(place, uid=0, name=name) as pid:
        began = time.monotonic()
        assert is_open_in(PATHS, pid, (NODE,)) is (None if name == str(GROUP) else False)
        assert time.monotonic() - began < 8
