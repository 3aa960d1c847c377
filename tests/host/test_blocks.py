"""Which block devices need a PCI function."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vfioctl.host import blocks

if TYPE_CHECKING:
    from host_tree import Tree

NVME, OTHER, VMD = "0000:02:00.0", "0000:03:00.0", "0000:00:0e.0"


def block(tree: Tree, name: str, below: str, number: str = "259:0") -> None:
    tree.write(f"sys/devices/{below}/{name}/dev", f"{number}\n")
    tree.write(f"sys/devices/{below}/{name}/size", "2048\n")
    tree.link(f"sys/class/block/{name.rpartition('/')[2]}", f"../../devices/{below}/{name}")


def names(tree: Tree, address: str) -> dict[str, bool]:
    return {one.name: one.direct for one in blocks.of_function(tree.paths, address)}


def test_a_disk_and_its_partitions_need_their_controller_alone(tree: Tree) -> None:
    block(tree, "nvme0n1", f"pci0000:00/{NVME}/nvme/nvme0")
    block(tree, "nvme0n1/nvme0n1p1", f"pci0000:00/{NVME}/nvme/nvme0", "259:1")
    block(tree, "nvme1n1", f"pci0000:00/{OTHER}/nvme/nvme1")
    tree.write(f"sys/devices/pci0000:00/{NVME}/nvme/nvme0/nvme0n1/nvme0n1p1/partition", "1\n")
    found = blocks.of_function(tree.paths, NVME)
    assert [(one.name, one.disk, one.number, one.size) for one in found] == [
        ("nvme0n1", "nvme0n1", "259:0", 1 << 20), ("nvme0n1p1", "nvme0n1", "259:1", 1 << 20)]  # fmt: skip


def test_with_multipath_a_namespace_is_found_through_the_controllers_of_its_subsystem(tree: Tree) -> None:
    block(tree, "nvme0n1", "virtual/nvme-subsystem/nvme-subsys0")
    for index, address in enumerate((NVME, OTHER)):
        block(tree, f"nvme0c{index}n1", f"pci0000:00/{address}/nvme/nvme{index}", "0:0")
        tree.write(f"sys/devices/pci0000:00/{address}/nvme/nvme{index}/nvme0c{index}n1/hidden", "1\n")
        tree.link(f"sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme{index}",
                  f"../../../pci0000:00/{address}/nvme/nvme{index}")  # fmt: skip
    found = {one.name: one.hidden for one in blocks.of_function(tree.paths, NVME)}
    assert found == {"nvme0c0n1": True, "nvme0n1": False}
    assert blocks.functions(tree.paths, "nvme0n1") == {NVME, OTHER}


def test_what_is_built_on_a_disk_needs_its_controller_too(tree: Tree) -> None:
    block(tree, "sda", f"pci0000:00/{NVME}/ata1/block", "8:0")
    block(tree, "dm-0", "virtual/block", "254:0")
    block(tree, "md0", "virtual/block", "9:0")
    tree.link("sys/devices/virtual/block/md0/slaves/sda", "elsewhere")
    tree.link("sys/devices/virtual/block/dm-0/slaves/md0", "elsewhere")
    assert names(tree, NVME) == {"sda": True, "md0": False, "dm-0": False}


def test_what_is_behind_a_vmd_needs_the_vmd_and_its_own_controller(tree: Tree) -> None:
    inner = "10000:e1:00.0"
    block(tree, "nvme0n1", f"pci0000:00/{VMD}/pci10000:e0/10000:e0:06.0/{inner}/nvme/nvme0")
    assert names(tree, VMD) == names(tree, inner) == {"nvme0n1": True}


@pytest.mark.parametrize("address", [OTHER, "0000:02:00.1", ""])
def test_a_function_without_a_disk_has_none(tree: Tree, address: str) -> None:
    block(tree, "nvme0n1", f"pci0000:00/{NVME}/nvme/nvme0")
    assert not blocks.has_any(tree.paths, address)
    assert names(tree, address) == {}


def test_a_host_without_block_devices_has_none(tree: Tree) -> None:
    assert names(tree, NVME) == {}
