"""The shell on a simulated machine: what runs in it, what it ends with, and what its virsh does not know."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vfioctl.testing.pytest_plugin import can_mount

needs_fuse = pytest.mark.skipif(not can_mount(), reason="/dev/fuse cannot be used here")


def shell(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-m", "vfioctl.testing.shell", *argv],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_an_unknown_machine_is_answered_with_the_known_ones() -> None:
    ended = shell("mainframe")
    assert ended.returncode == 2
    assert "two-gpu, two-nvidia, laptop" in ended.stderr


def test_help_shows_the_usage_and_the_machines() -> None:
    ended = shell("--help")
    assert ended.returncode == 0
    assert "vfioctl.testing.shell [MACHINE [COMMAND…]]" in ended.stderr
    assert "two-gpu, two-nvidia, laptop" in ended.stderr


@needs_fuse
def test_its_status_is_that_of_what_ran_in_it() -> None:
    assert shell("generic-nic", "sh", "-c", "exit 7").returncode == 7


@needs_fuse
def test_the_guest_gets_the_card_of_the_machine_and_gives_it_back() -> None:
    driver = "readlink sys/bus/pci/devices/0000:01:00.0/driver"
    ended = shell("generic-nic", "sh", "-ec", f"touch etc/vfioctl/guests/win11.toml; virsh start win11; {driver}; "
                  f"virsh destroy win11; {driver}")  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert [line.rpartition("/")[2] for line in ended.stdout.split()] == ["vfio-pci", "igb"]


@needs_fuse
@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ("list", 2, "knows: start win11, destroy win11"),
        ("start linux", 2, "knows: start win11, destroy win11"),
        ("destroy win11", 1, "'win11' is not running"),
    ],
)
def test_its_virsh_says_what_it_cannot_do(words: str, status: int, said: str) -> None:
    ended = shell("generic-nic", "virsh", *words.split())
    assert ended.returncode == status
    assert said in ended.stderr
