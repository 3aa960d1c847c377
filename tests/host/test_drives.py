"""Which devices share bytes: a drive, its partitions, what is built on them; and where a device is mounted."""

from __future__ import annotations

import pytest
from host_tree import Tree

from vfioctl.host import blocks, drives

DISK = "sys/devices/pci0000:00/0000:00:17.0/ata1/block/sda"
BESIDE = {"sda": "8:0", "sda1": "8:1", "sda2": "8:2", "dm-0": "254:0", "dm-1": "254:1"}


@pytest.fixture
def disk(tree: Tree) -> Tree:
    """A disk with two partitions; the second has two logical volumes."""
    for name, number in BESIDE.items():
        place = "devices/virtual/block" if name.startswith("dm") else DISK.removeprefix("sys/")
        place = place if name == "sda" else f"{place}/{name}"
        tree.write(f"sys/{place}/dev", f"{number}\n")
        for way in (f"sys/class/block/{name}", f"sys/dev/block/{number}"):
            tree.link(way, f"../../{place}")
    for name in ("sda1", "sda2"):
        tree.write(f"{DISK}/{name}/partition", "1\n")
    for name in ("dm-0", "dm-1"):
        tree.link(f"sys/devices/virtual/block/{name}/slaves/sda2", "elsewhere")
        tree.link(f"{DISK}/sda2/holders/{name}", "elsewhere")
    return tree


@pytest.mark.parametrize(("name", "shared"), [
    ("sda", {"sda", "sda1", "sda2", "dm-0", "dm-1"}), ("sda1", {"sda", "sda1"}),
    ("sda2", {"sda", "sda2", "dm-0", "dm-1"}), ("dm-0", {"sda", "sda2", "dm-0"}),
])  # fmt: skip
def test_a_device_shares_bytes_with_what_it_lies_on_and_what_lies_on_it_and_not_with_what_is_beside_it(
    disk: Tree, name: str, shared: set[str]
) -> None:
    assert drives.sharing(disk.paths, BESIDE[name]) == {BESIDE[one] for one in shared}


def test_what_is_built_in_a_circle_ends(disk: Tree) -> None:
    disk.link("sys/devices/virtual/block/dm-0/slaves/dm-1", "elsewhere")
    disk.link("sys/devices/virtual/block/dm-1/slaves/dm-0", "elsewhere")
    assert blocks.below(disk.paths, "dm-0") == {"dm-0", "dm-1", "sda2", "sda"}


def test_a_number_that_sysfs_does_not_show_shares_with_itself_and_has_no_claims(disk: Tree) -> None:
    assert drives.sharing(disk.paths, "7:9") == {"7:9"}
    assert drives.claims_on(disk.paths, "7:9") == ()


def test_a_path_that_leads_to_no_drive_has_no_number(disk: Tree) -> None:
    disk.write("srv/web.raw", "x")
    assert [drives.number_at(disk.paths, path) for path in ("/dev/null", "/nowhere", disk.paths.at("srv/web.raw"))] == [
        "", "", ""
    ]


def test_the_places_of_a_device_are_its_own(disk: Tree) -> None:
    lines = ("8:1 / /srv/x", "8:1 / /mnt", "254:0 / /home")
    disk.write("proc/self/mountinfo", "".join(f"{n} 1 {one} rw shared:1 - ext4 /dev/x rw\n"
                                              for n, one in enumerate(lines)))  # fmt: skip
    assert drives.places(disk.paths, "8:1") == {"/srv/x", "/mnt"}
    assert drives.places(disk.paths, "8:0") == frozenset()
