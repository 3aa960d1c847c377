"""What an active network has lost on a host, as far as /sys, /proc and /run say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from host_tree import Tree
from vfioctl_network.problems import problems
from vfioctl_network.tables import parsed

from vfioctl.plugin import Network, Port, parse_network, replace

if TYPE_CHECKING:
    from pathlib import Path

    from vfioctl_network.problem import Problem

ON_BRIDGE = "<forward mode='bridge'/><bridge name='br0'/>"
SWITCHED = f"{ON_BRIDGE}<virtualport type='openvswitch'/>"
PORT = Port("web", "u", "52:54:00:00:00:01", "lab", "br0", "vnet3", live=True)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "host")


def network(inside: str) -> Network:
    """An active one with this configuration."""
    return replace(parse_network(f"<network><name>lab</name><uuid>u</uuid>{inside}</network>"), active=True)


def wrong(tree: Tree, inside: str, *ports: Port) -> list[Problem]:
    """What else than rules it misses."""
    found = problems(tree.host(), network(inside), ports, parsed("", "", ""))
    return [one for one in found if one.code != "network.no_rules"]


def bridge(tree: Tree, name: str = "br0", *, master: str = "") -> None:
    """A bridge of the kernel, and the port `vnet3` that has `master` above it."""
    tree.write(f"sys/class/net/{name}/bridge/bridge_id", "8000.525400aabbcc\n")
    tree.write("sys/class/net/vnet3/type", "1\n")
    if master:
        tree.link("sys/class/net/vnet3/master", f"../{master}")


@pytest.mark.parametrize(("master", "codes"), [
    ("br0", []), ("br1", ["network.port_lost"]), ("", ["network.port_lost"]),
])  # fmt: skip
def test_a_port_of_a_running_guest_must_be_on_the_bridge(tree: Tree, master: str, codes: list[str]):
    bridge(tree, master=master)
    assert [one.code for one in wrong(tree, ON_BRIDGE, PORT)] == codes


def test_on_open_vswitch_a_port_is_never_on_the_bridge_in_the_kernel(tree: Tree):
    tree.write("sys/class/net/br0/type", "1\n")
    tree.write("sys/class/net/ovs-system/type", "1\n")
    tree.link("sys/class/net/vnet3/master", "../ovs-system")
    assert wrong(tree, SWITCHED, PORT) == []


def test_where_the_bridge_is_gone_no_port_can_be_put_on_it(tree: Tree):
    tree.write("sys/class/net/vnet3/type", "1\n")
    (found,) = wrong(tree, ON_BRIDGE, PORT)
    assert (found.code, found.is_mended) == ("network.interface", False)
