"""Whether a card is the only way to the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from host_tree import Tree

ETHERNET, WIRELESS = "0000:03:00.0", "0000:04:00.0"
HEAD = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
DEFAULT = "{name}\t00000000\t0102A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
LOCAL = "{name}\t0002A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n"
ZEROS = "0" * 32
DEFAULT6 = f"{ZEROS} 00 {ZEROS} 00 fe800000000000000000000000000001 00000064 00000000 00000000 00000003 {{name}}\n"


def interface(tree: Tree, name: str, address: str) -> None:
    tree.device(address)
    tree.write(f"sys/devices/pci0000:00/{address}/net/{name}/operstate", "up\n")
    tree.link(f"sys/devices/pci0000:00/{address}/net/{name}/device", "../..")
    tree.link(f"sys/class/net/{name}", f"../../devices/pci0000:00/{address}/net/{name}")


def routes(tree: Tree, *lines: str) -> None:
    tree.write("proc/self/net/route", HEAD + "".join(lines))


def test_the_card_of_the_only_default_route_is_the_only_way(tree: Tree) -> None:
    interface(tree, "eth0", ETHERNET)
    interface(tree, "wlan0", WIRELESS)
    routes(tree, DEFAULT.format(name="eth0"), LOCAL.format(name="wlan0"))
    assert tree.host().only_network(ETHERNET)
    assert not tree.host().only_network(WIRELESS)


def test_a_second_default_route_is_another_way(tree: Tree) -> None:
    interface(tree, "eth0", ETHERNET)
    interface(tree, "wlan0", WIRELESS)
    routes(tree, DEFAULT.format(name="eth0"), DEFAULT.format(name="wlan0"))
    assert not tree.host().only_network(ETHERNET)


def test_a_bridge_is_as_good_as_the_card_below_it(tree: Tree) -> None:
    interface(tree, "eth0", ETHERNET)
    tree.link("sys/devices/virtual/net/br0/lower_eth0", "elsewhere")
    tree.link("sys/class/net/br0", "../../devices/virtual/net/br0")
    routes(tree, DEFAULT.format(name="br0"))
    assert tree.host().only_network(ETHERNET)


def test_a_default_route_of_ipv6_counts(tree: Tree) -> None:
    interface(tree, "eth0", ETHERNET)
    unreachable = DEFAULT6.format(name="lo")
    tree.write("proc/self/net/ipv6_route", DEFAULT6.format(name="eth0") + unreachable)
    assert tree.host().only_network(ETHERNET)


@pytest.mark.parametrize("table", [None, "", "garbage\nmore garbage\n", HEAD + "eth0\n"])
def test_without_a_readable_default_route_no_card_is_the_only_way(tree: Tree, table: str | None) -> None:
    interface(tree, "eth0", ETHERNET)
    if table is not None:
        tree.write("proc/self/net/route", table)
    assert not tree.host().only_network(ETHERNET)


def test_a_route_over_something_without_a_card_is_nobodys(tree: Tree) -> None:
    interface(tree, "eth0", ETHERNET)
    tree.link("sys/class/net/tun0", "../../devices/virtual/net/tun0")
    routes(tree, DEFAULT.format(name="tun0"))
    assert not tree.host().only_network(ETHERNET)
