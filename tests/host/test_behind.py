"""What goes from the host together with functions, and what stays since there is another way to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vfioctl.host import behind

if TYPE_CHECKING:
    from host_tree import Tree

CARD, OTHER = "0000:02:00.0", "0000:03:00.0"


def interface(tree: Tree, name: str, place: str, uevent: str = "") -> None:
    tree.write(f"sys/devices/{place}/net/{name}/uevent", uevent)
    tree.link(f"sys/class/net/{name}", f"../../devices/{place}/net/{name}")


@pytest.mark.parametrize("kind", ["block", "char"])
def test_a_node_goes_with_its_function_and_with_no_other(tree: Tree, kind: str) -> None:
    tree.write(f"sys/devices/pci0000:00/{CARD}/x/dev", "8:0\n")
    tree.link(f"sys/dev/{kind}/8:0", f"../../devices/pci0000:00/{CARD}/x")
    assert behind.of_node(tree.paths, f"{kind}/8:0", frozenset((CARD, OTHER))) == CARD
    assert behind.of_node(tree.paths, f"{kind}/8:0", frozenset((OTHER,))) == ""
    assert behind.of_node(tree.paths, f"{kind}/8:1", frozenset((CARD,))) == ""


def test_a_namespace_that_two_controllers_reach_goes_with_the_last_one(tree: Tree) -> None:
    subsystem = "sys/devices/virtual/nvme-subsystem/nvme-subsys0"
    tree.write(f"{subsystem}/nvme0n1/dev", "259:0\n")
    tree.link("sys/dev/block/259:0", "../../devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1")
    for index, address in enumerate((CARD, OTHER)):
        tree.write(f"sys/devices/pci0000:00/{address}/nvme/nvme{index}/model", "x\n")
        tree.link(f"{subsystem}/nvme{index}", f"../../../pci0000:00/{address}/nvme/nvme{index}")
    assert behind.of_node(tree.paths, "block/259:0", frozenset((CARD,))) == ""
    assert behind.of_node(tree.paths, "block/259:0", frozenset((CARD, OTHER))) in (CARD, OTHER)


def test_an_interface_goes_with_its_card_and_a_vlan_with_the_interface(tree: Tree) -> None:
    interface(tree, "eth0", f"pci0000:00/{CARD}")
    interface(tree, "eth0.7", "virtual", "DEVTYPE=vlan\n")
    tree.link("sys/devices/virtual/net/eth0.7/lower_eth0", f"../../../pci0000:00/{CARD}/net/eth0")
    for name in ("eth0", "eth0.7"):
        assert behind.of_interface(tree.paths, name, frozenset((CARD,))) == CARD


def test_a_bridge_stays_without_its_port(tree: Tree) -> None:
    interface(tree, "eth0", f"pci0000:00/{CARD}")
    interface(tree, "br0", "virtual", "DEVTYPE=bridge\n")
    tree.link("sys/devices/virtual/net/br0/lower_eth0", f"../../../pci0000:00/{CARD}/net/eth0")
    assert behind.of_interface(tree.paths, "br0", frozenset((CARD,))) == ""
