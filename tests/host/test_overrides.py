"""driver_override through the reader child: what hangs is named, and the rest is still read."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from vfioctl.host.overrides import read_overrides
from vfioctl.host.processes import start_time
from vfioctl.host.stuck import record_stuck
from vfioctl.kernel_io import Writer
from vfioctl.paths import Paths

if TYPE_CHECKING:
    from pathlib import Path

    from host_tree import Tree

A, B, C = "0000:01:00.0", "0000:01:00.1", "0000:02:00.0"


Hang = Callable[[str], None]


@pytest.fixture
def hang(tree: Tree) -> Iterator[Hang]:
    """Makes the read of a device's override not return: a FIFO without a writer. Lets the readers go at the end."""
    made: list[Path] = []

    def make(address: str) -> None:
        path = tree.root / "sys/devices/pci0000:00" / address / "driver_override"
        path.unlink()
        os.mkfifo(path)
        made.append(path)

    yield make
    for path in made:
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))


def test_all_overrides_are_read_in_one_go(tree: Tree) -> None:
    tree.device(A, driver_override="vfio-pci")
    tree.device(B)
    assert read_overrides(Writer(), tree.paths, (A, B)) == ({A: "vfio-pci", B: None}, ())


def test_nothing_is_read_for_no_device(tree: Tree) -> None:
    assert read_overrides(Writer(), tree.paths, ()) == ({}, ())


def test_a_device_without_the_attribute_has_no_override(tree: Tree) -> None:
    assert read_overrides(Writer(), tree.paths, (A,)) == ({A: None}, ())


def test_a_hanging_read_names_its_device_and_keeps_no_other_from_being_read(tree: Tree, hang: Hang) -> None:
    for address in (A, B, C):
        tree.device(address, driver_override="vfio-pci")
    hang(B)
    known, stuck = read_overrides(Writer(), tree.paths, (A, B, C), deadline=0.3)
    assert known == {A: "vfio-pci", C: "vfio-pci"}
    assert stuck == (B,)


def test_many_hanging_reads_cost_a_bounded_time(tree: Tree, hang: Hang) -> None:
    addresses = tuple(f"0000:0{n}:00.0" for n in range(9))
    for address in addresses:
        tree.device(address)
        hang(address)
    started = time.monotonic()
    known, stuck = read_overrides(Writer(), tree.paths, addresses, deadline=0.2)
    assert time.monotonic() - started < 2
    assert (known, set(stuck)) == ({}, set(addresses))


def test_a_hanging_device_is_shown_as_stuck(tree: Tree, hang: Hang) -> None:
    tree.device(A)
    tree.device(B)
    hang(A)
    devices = {device.address: device.stuck for device in tree.host().devices()}
    assert devices == {A: True, B: False}


def test_a_device_that_is_recorded_as_stuck_is_not_asked(tree: Tree) -> None:
    tree.device(A, driver_override="vfio-pci")
    pid = os.getpid()
    os.symlink(f"/proc/{pid}", tree.root / "proc" / str(pid))
    record_stuck(tree.paths, A, pid, "/sys/x/unbind", A)
    assert start_time(Paths("/"), pid)
    device = tree.host().device(A)
    assert (device.stuck, device.driver_override) == (True, None)
