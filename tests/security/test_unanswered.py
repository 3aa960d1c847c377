"""A file system that never answers holds nobody: a start is refused by name before anything is touched.

With a real FUSE mount that takes every request and answers none, as a hard NFS mount does whose server is gone.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hand_offs import BY_NAME, GPU, GUEST, Stage
from silent import needs_fuse, silent

from vfioctl.testing.domains import DiskXml, domain
from vfioctl.testing.host import FakeHost

pytestmark = needs_fuse
LIMIT = 45.0  # seconds: deadlines.plan is 20, and nothing else may add to it
SHARE = "/mnt/share"
SNAPSHOTS = "[snapshot]\nenabled = true\n"
NEEDS = {
    "disk": {"disks": (DiskXml(f"{SHARE}/disk.qcow2"),)},
    "raw disk": {"disks": (DiskXml(f"{SHARE}/disk.raw", format="raw"),)},
    "two disks": {"disks": (DiskXml(f"{SHARE}/a/one.qcow2"), DiskXml(f"{SHARE}/b/two.qcow2", "vdb"))},
    "nvram": {"nvram": f"{SHARE}/VARS.fd"},
    "disk and nvram": {"disks": (DiskXml(f"{SHARE}/disk.qcow2"),), "nvram": f"{SHARE}/VARS.fd"},
}


@pytest.fixture
def machine(place: Path) -> Iterator[FakeHost]:
    with FakeHost(BY_NAME["generic"].machine(), place) as host:
        yield host


def prepared(host: FakeHost, settings: str, **needs: object) -> Stage:
    stage = Stage(replace(BY_NAME["generic"], settings=settings), host)
    stage.xml = domain(GUEST, hostdevs=(GPU,), **needs).encode()
    return stage


def call(stage: Stage, operation: str = "prepare") -> tuple[int, str, float]:
    began = time.monotonic()
    argv = [*stage.host.argv, "hook", GUEST, operation, "begin", "-"]
    ended = subprocess.run(argv, input=stage.xml, capture_output=True, check=False, timeout=LIMIT, cwd="/")
    return ended.returncode, ended.stderr.decode(), time.monotonic() - began


CASES = [
    *((needs, False, settings) for needs in NEEDS for settings in ("", SNAPSHOTS, SNAPSHOTS + 'policy = "require"\n')),
    *((needs, True, settings) for needs in ("disk", "raw disk") for settings in ("", SNAPSHOTS)),
]  # fmt: skip


@pytest.mark.parametrize(("needs", "stats", "settings"), CASES)
def test_a_start_whose_disk_does_not_answer_is_refused_by_name(machine, needs: str, stats, settings: str):
    """`stats`: the client remembers names and attributes, so that only an open or a read waits."""
    stage = prepared(machine, settings, **NEEDS[needs])
    with silent(stage.root + SHARE, stats=stats):
        status, said, seconds = call(stage)
        assert status == 3, said
        assert SHARE in said
        assert "does not answer" in said
        assert "Nothing was changed." in said
        assert seconds < 30
        assert machine.kernel.writes() == []
    assert stage.differences() == ()
