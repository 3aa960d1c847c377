"""What this machine's own kernel says of block devices in use: loop devices, in mount namespaces of the test's own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vfioctl.host import blocks, claims
from vfioctl.host.claims import Claim, Kind
from vfioctl.paths import Paths

PATHS = Paths("/")
SIZE = 128 << 20  # the least that mkfs.btrfs takes for two devices
HOLD = 'mount -t "$1" "$2" "$3" && echo mounted && read -r _; umount "$3"'
NEEDED = ("losetup", "unshare", "mkfs.ext4")

missing = [name for name in NEEDED if not shutil.which(name)]
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="attaching loop devices needs root"),
    pytest.mark.skipif(not os.path.exists("/dev/loop-control"), reason="this kernel has no loop devices"),
    pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}"),
]


def run(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


@pytest.fixture
def loops(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Two loop devices, by name."""
    names: list[str] = []
    try:
        for index in range(2):
            image = tmp_path / f"disk{index}"
            with open(image, "wb") as file:
                file.truncate(SIZE)
            names.append(os.path.basename(run("losetup", "--find", "--show", str(image))))
        yield names[0], names[1]
    finally:
        for name in names:
            run("losetup", "--detach", f"/dev/{name}")


@contextmanager
def mounted(kind: str, name: str, place: Path) -> Iterator[None]:
    """A mount that only another namespace has."""
    place.mkdir()
    holder = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", HOLD, "sh", kind, f"/dev/{name}", str(place)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout
    try:
        assert holder.stdout.readline() == "mounted\n"
        yield
    finally:
        holder.communicate("\n", timeout=60)


def claimed(*names: str) -> tuple[Claim, ...]:
    """What claims the devices; that a sandbox keeps us from looking into some process is left out."""
    found = claims.of_blocks(PATHS, tuple(blocks.read(PATHS, name) for name in names))
    return tuple(claim for claim in found if claim.kind is not Kind.DENIED)


def test_a_device_that_nobody_uses_is_free(loops: tuple[str, str]) -> None:
    assert claimed(*loops) == ()


def test_what_another_mount_namespace_has_mounted_is_held(loops: tuple[str, str], tmp_path: Path) -> None:
    run("mkfs.ext4", "-q", f"/dev/{loops[0]}")
    with mounted("ext4", loops[0], tmp_path / "mnt"):
        [claim] = claimed(*loops)
    assert (claim.device, claim.kind) == (loops[0], Kind.HELD)
    assert claimed(*loops) == ()


@pytest.mark.skipif(not shutil.which("mkfs.btrfs"), reason="btrfs-progs is not installed")
def test_both_devices_of_a_btrfs_that_is_mounted_by_one_are_held(loops: tuple[str, str], tmp_path: Path) -> None:
    run("mkfs.btrfs", "-q", *(f"/dev/{name}" for name in loops))
    uuid = run("blkid", "-o", "value", "-s", "UUID", f"/dev/{loops[0]}")
    assert claimed(*loops) == ()
    with mounted("btrfs", loops[0], tmp_path / "mnt"):
        found = claimed(*loops)
    assert {claim.device for claim in found} == set(loops)
    assert {(claim.kind, claim.what) for claim in found} == {
        (Kind.HELD, f"a device of the mounted btrfs {uuid}")}  # fmt: skip


def test_a_process_that_has_the_device_open_is_found_although_the_kernel_would_let_it_go(
    loops: tuple[str, str]
) -> None:
    with subprocess.Popen(["sh", "-c", f"exec 3</dev/{loops[0]}; read -r _"], stdin=subprocess.PIPE) as reader:
        try:
            while not os.path.exists(f"/proc/{reader.pid}/fd/3"):
                assert reader.poll() is None
            found = claimed(*loops)
        finally:
            reader.communicate(b"\n", timeout=60)
    assert [(claim.device, claim.kind) for claim in found] == [(loops[0], Kind.OPEN)]
    assert f"process {reader.pid}" in found[0].what


def test_a_loop_device_over_a_device_is_found(loops: tuple[str, str]) -> None:
    above = os.path.basename(run("losetup", "--find", "--show", f"/dev/{loops[0]}"))
    try:
        found = claimed(*loops)
    finally:
        run("losetup", "--detach", f"/dev/{above}")
    assert (loops[0], Kind.HELD, f"what /dev/{above} shows") in {(one.device, one.kind, one.what) for one in found}
