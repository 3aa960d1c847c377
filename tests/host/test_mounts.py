"""Which controllers have mounted disks behind them."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from vfioctl.host.mounts import usb_mounts

if TYPE_CHECKING:
    from pathlib import Path

    from host_tree import Tree

NVME, SATA = "0000:02:00.0", "0000:00:17.0"
LINE = "{id} 1 {number} / {place} rw,relatime shared:1 - {type} {source} rw\n"


def disk(tree: Tree, address: str, name: str, number: str) -> None:
    """A partition of a disk behind the controller."""
    real = f"sys/devices/pci0000:00/{address}/block/{name[:-1]}/{name}"
    tree.write(f"{real}/dev", f"{number}\n")
    tree.link(f"sys/dev/block/{number}", f"../../devices/pci0000:00/{address}/block/{name[:-1]}/{name}")
    tree.link(f"sys/class/block/{name}", f"../../devices/pci0000:00/{address}/block/{name[:-1]}/{name}")


def mount(tree: Tree, *rows: tuple[str, str, str]) -> None:
    lines = [LINE.format(id=n, number=number, place=place, type="ext4", source=source)
             for n, (number, place, source) in enumerate(rows)]
    tree.write("proc/self/mountinfo", "".join(lines))


def test_a_mounted_partition_names_its_controller_and_mount_points(tree: Tree) -> None:
    disk(tree, NVME, "nvme0n1p2", "259:2")
    mount(tree, ("259:2", "/", "/dev/nvme0n1p2"), ("259:2", "/my\\040data", "/dev/nvme0n1p2"), ("0:5", "/proc", "proc"))
    assert tree.host().mounted_controllers() == {NVME: ("/", "/my data")}


def test_a_volume_names_the_controllers_of_all_disks_below_it(tree: Tree) -> None:
    disk(tree, NVME, "nvme0n1p2", "259:2")
    disk(tree, SATA, "sda1", "8:1")
    for name in ("nvme0n1p2", "sda1"):
        tree.link(f"sys/devices/virtual/block/dm-0/slaves/{name}", "elsewhere")
    tree.link("sys/dev/block/254:0", "../../devices/virtual/block/dm-0")
    mount(tree, ("254:0", "/home", "/dev/mapper/home"))
    assert tree.host().mounted_controllers() == {SATA: ("/home",), NVME: ("/home",)}


def test_a_partition_of_an_array_names_the_arrays_disks(tree: Tree) -> None:
    disk(tree, SATA, "sda1", "8:1")
    tree.link("sys/devices/virtual/block/md0/slaves/sda1", "elsewhere")
    tree.write("sys/devices/virtual/block/md0/md0p1/dev", "259:9\n")
    tree.link("sys/dev/block/259:9", "../../devices/virtual/block/md0/md0p1")
    mount(tree, ("259:9", "/srv", "/dev/md0p1"))
    assert tree.host().mounted_controllers() == {SATA: ("/srv",)}


def test_a_file_system_with_an_anonymous_number_is_found_by_its_source(tree: Tree) -> None:
    disk(tree, NVME, "nvme0n1p2", "259:2")
    mount(tree, ("0:31", "/home", "/dev/nvme0n1p2"))
    assert tree.host().mounted_controllers() == {NVME: ("/home",)}


def test_swap_counts_as_mounted(tree: Tree) -> None:
    disk(tree, NVME, "nvme0n1p3", "259:3")
    head = "Filename Type Size Used Priority\n"
    tree.write("proc/swaps", f"{head}/dev/nvme0n1p3 partition 8 0 -2\n/swapfile file 8 0 -3\n")
    assert tree.host().mounted_controllers() == {NVME: ("swap",)}


def test_disks_that_are_not_behind_pci_and_garbled_lines_name_nobody(tree: Tree) -> None:
    tree.write("proc/self/mountinfo", "garbage\n\n1 2 3 4 5 6 7 8 9 10 11\n")
    assert tree.host().mounted_controllers() == {}


def test_nothing_is_mounted_without_a_table(tree: Tree) -> None:
    assert tree.host().mounted_controllers() == {}


def test_slaves_that_name_themselves_end(tree: Tree) -> None:
    tree.link("sys/devices/virtual/block/dm-0/slaves/dm-0", "elsewhere")
    tree.link("sys/dev/block/254:0", "../../devices/virtual/block/dm-0")
    tree.link("sys/class/block/dm-0", "../../devices/virtual/block/dm-0")
    mount(tree, ("254:0", "/", "/dev/dm-0"))
    assert tree.host().mounted_controllers() == {}


MANY = 80
IN_A_NAMESPACE = """\
for number in $(seq {many}); do mkdir -p {place}/$number; mount -t tmpfs none {place}/$number; done
exec {python} -I -c '
from vfioctl.host import mounts; from vfioctl.paths import Paths
print(sum(mount.place.startswith("{place}/") for mount in mounts.table(Paths("/"))))'
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")
def test_mounts_beyond_the_first_page_of_the_kernels_table_are_seen(tmp_path: Path) -> None:
    script = IN_A_NAMESPACE.format(many=MANY, place=tmp_path, python=sys.executable)
    argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip() == str(MANY)


def test_a_stick_on_usb_has_the_mounts_of_its_partitions_and_of_what_is_built_on_them(tree: Tree) -> None:
    usb = "sys/devices/pci0000:00/0000:00:14.0/usb1/1-2"
    for name, value in (("busnum", "1"), ("devnum", "12")):
        tree.write(f"{usb}/{name}", f"{value}\n")
    tree.link("sys/bus/usb/devices/1-2", "../../../devices/pci0000:00/0000:00:14.0/usb1/1-2")
    part = "devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/host6/target6:0:0/6:0:0:0/block/sda/sda1"
    tree.write(f"sys/{part}/dev", "8:1\n")
    tree.link("sys/dev/block/8:1", f"../../{part}")
    tree.link("sys/class/block/sda1", f"../../{part}")
    tree.write("sys/devices/virtual/block/dm-0/dev", "253:0\n")
    tree.link("sys/devices/virtual/block/dm-0/slaves/sda1", f"../../../../../{part}")
    tree.link("sys/dev/block/253:0", "../../devices/virtual/block/dm-0")
    mount(tree, ("253:0", "/backup", "/dev/mapper/backup"), ("259:2", "/", "/dev/nvme0n1p2"))
    assert usb_mounts(tree.host().paths, 1, 12) == ("/backup",)
    assert usb_mounts(tree.host().paths, 1, 1) == ()
