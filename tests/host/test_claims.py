"""What claims a disk, where plain files can show it; tests/plugin/test_in_use.py has the simulated kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vfioctl.host import claims, exclusive
from vfioctl.host.claims import Kind

if TYPE_CHECKING:
    from host_tree import Tree

SATA = "0000:00:17.0"
SDA = f"sys/devices/pci0000:00/{SATA}/ata1/host0/target0:0:0/0:0:0:0"
LINE = "{id} 1 8:1 / {place} rw shared:1 - ext4 /dev/sda1 rw\n"


@pytest.fixture
def disk(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> Tree:
    """A SCSI disk with a partition, which the kernel calls free."""
    monkeypatch.setattr(exclusive, "ask", lambda _paths, _blocks: ())
    for name, path, number in (("sda", "block/sda", "8:0"), ("sda1", "block/sda/sda1", "8:1")):
        tree.write(f"{SDA}/{path}/dev", f"{number}\n")
        tree.link(f"sys/class/block/{name}", f"../../{SDA.removeprefix('sys/')}/{path}")
    tree.write(f"{SDA}/block/sda/sda1/partition", "1\n")
    return tree


def said(tree: Tree) -> list[tuple[str, Kind, str]]:
    return [(one.device, one.kind, one.what) for one in claims.of_function(tree.paths, SATA)]


def test_a_disk_that_is_mounted_in_many_places_names_a_few(disk: Tree) -> None:
    places = ["/", "/home", "/srv", "/var/a", "/var/b"]
    disk.write("proc/self/mountinfo", "".join(LINE.format(id=n, place=place) for n, place in enumerate(places)))
    disk.link("sys/dev/block/8:1", f"../../{SDA.removeprefix('sys/')}/block/sda/sda1")
    assert said(disk) == [("sda1", Kind.MOUNTED, "mounted on /, /home, /srv and 2 more")]


def test_a_process_with_the_generic_node_of_the_disk_has_the_disk(disk: Tree) -> None:
    """/dev/null stands for the node: a test may make none."""
    disk.write(f"{SDA}/scsi_generic/sg0/dev", "1:3\n")
    disk.link("sys/class/scsi_generic/sg0", f"../../{SDA.removeprefix('sys/')}/scsi_generic/sg0")
    disk.write("proc/77/comm", "qemu-system-x86\n")
    disk.write("proc/77/cmdline", "qemu-system-x86_64\0-name\0guest=nas,debug-threads=on\0")
    disk.link("proc/77/fd/9", "/dev/null")
    assert said(disk) == [("sg0", Kind.OPEN, "open in QEMU of the guest nas (process 77)")]


def test_a_mount_of_a_disk_that_was_pulled_is_on_no_disk_that_is_there(disk: Tree) -> None:
    """The kernel keeps the mount and its number, and shows no such device any more: del_gendisk() in block/genhd.c."""
    disk.write("proc/self/mountinfo", "9 1 8:17 / /media/stick rw shared:1 - ext4 /dev/sdb1 rw\n")
    assert said(disk) == []
