"""The nodes by which a guest has a network function without VFIO."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vfioctl.host import network_nodes
from vfioctl.host.model import DeviceNode

if TYPE_CHECKING:
    from host_tree import Tree

NIC, OTHER = "0000:03:00.0", "0000:04:00.0"
TAP = DeviceNode("/dev/tap7", (240, 1), "tap", NIC)


def interface(tree: Tree, name: str, *lower: str) -> None:
    """The virtual interface `name` above others."""
    tree.write(f"sys/class/net/{name}/type", "1\n")
    for below in lower:
        tree.link(f"sys/class/net/{below}/upper_{name}", f"../{name}")


def with_card(tree: Tree) -> None:
    base = tree.device(NIC, driver="igb", **{"class": "0x020000"})
    tree.write(f"{base}/net/eth7/type", "1\n")
    tree.link("sys/class/net/eth7", f"../../devices/pci0000:00/{NIC}/net/eth7")


def with_tap(tree: Tree, *lower: str) -> None:
    interface(tree, "macvtap0", *lower)
    tree.write("sys/class/net/macvtap0/tap7/dev", "240:1\n")


def test_a_macvtap_above_a_card_is_a_node_of_it_by_its_own_number(tree: Tree) -> None:
    with_card(tree)
    with_tap(tree, "eth7")
    assert tree.host().nodes(NIC) == (TAP,)


def test_so_is_one_above_a_vlan_of_the_card(tree: Tree) -> None:
    with_card(tree)
    interface(tree, "eth7.100", "eth7")
    with_tap(tree, "eth7.100")
    assert tree.host().nodes(NIC) == (TAP,)


def test_one_above_a_bond_is_none_since_the_bond_outlives_its_port(tree: Tree) -> None:
    with_card(tree)
    interface(tree, "bond0", "eth7")
    tree.link("sys/class/net/eth7/master", "../bond0")
    with_tap(tree, "bond0")
    assert tree.host().nodes(NIC) == ()
    assert network_nodes.above(tree.paths, NIC) == ("bond0",)


@pytest.mark.parametrize("place", ["blue", "mlx5_core.sf.4/blue"], ids=["its own", "of its sub-function"])
def test_a_vdpa_device_below_a_function_is_a_node_of_that_one_alone(tree: Tree, place: str) -> None:
    for address in (NIC, OTHER):
        tree.device(address, driver="mlx5_core", **{"class": "0x020000"})
    base = f"sys/devices/pci0000:00/{NIC}/{place}"
    tree.write(f"{base}/vhost-vdpa-0/dev", "511:0\n")
    tree.link("sys/bus/vdpa/devices/blue", str(tree.root / base))
    assert tree.host().nodes(NIC) == (DeviceNode("/dev/vhost-vdpa-0", (511, 0), "vdpa", NIC),)
    assert tree.host().nodes(OTHER) == ()
