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


NO_DNS = "<dns enable='no'/>"
IP, IP6 = "<ip address='192.168.7.1' prefix='24'{}", "<ip family='ipv6' address='fd00:7::1' prefix='64'/>"
PLAIN = IP.format("/>")
RANGE = IP.format("><dhcp><range start='192.168.7.9' end='192.168.7.19'/></dhcp></ip>")
LEASE = IP.format("><dhcp><host mac='52:54:00:00:00:02' ip='192.168.7.9'/></dhcp></ip>")


@pytest.mark.parametrize(("inside", "codes"), [
    (PLAIN, ["network.no_server"]), (NO_DNS + RANGE, ["network.no_server"]), (NO_DNS + LEASE, ["network.no_server"]),
    (NO_DNS + PLAIN, []), ("", []),
])  # fmt: skip
def test_a_server_is_missed_only_where_libvirt_starts_one(tree: Tree, inside: str, codes: list[str]):
    bridge(tree)
    assert [one.code for one in wrong(tree, f"<bridge name='br0'/>{inside}")] == codes


IPV4, IPV6 = "net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"


def forwards(tree: Tree, ipv4: int, ipv6: int) -> None:
    bridge(tree)
    tree.write("proc/sys/net/ipv4/ip_forward", f"{ipv4}\n")
    tree.write("proc/sys/net/ipv6/conf/all/forwarding", f"{ipv6}\n")


@pytest.mark.parametrize("mode", ["nat", "route"])
@pytest.mark.parametrize(("addresses", "forwarded", "hints"), [
    (PLAIN, (0, 0), [IPV4]), (PLAIN, (1, 0), []), (IP6, (0, 1), []), (IP6, (1, 0), [IPV6]),
    (PLAIN + IP6, (0, 0), [IPV4, IPV6]), (PLAIN + IP6, (1, 1), []),
])  # fmt: skip
def test_forwarding_is_looked_at_for_each_family_that_the_network_has(
    tree: Tree, mode: str, addresses: str, forwarded: tuple[int, int], hints: list[str]
):
    forwards(tree, *forwarded)
    found = wrong(tree, f"<forward mode='{mode}'/><bridge name='br0'/>{NO_DNS}{addresses}")
    assert [one.code for one in found] == ["network.no_forwarding"] * len(hints)
    assert all(f"sysctl {hint}=1" in one.hint for one, hint in zip(found, hints, strict=True))


def test_an_isolated_network_needs_no_forwarding(tree: Tree):
    forwards(tree, 0, 0)
    assert wrong(tree, f"<bridge name='br0'/>{NO_DNS}{PLAIN}{IP6}") == []


def test_forwarding_of_ipv6_is_not_switched_on_by_itself_since_that_may_end_routes_of_the_host(tree: Tree):
    forwards(tree, 0, 0)
    found = wrong(tree, f"<forward mode='nat'/><bridge name='br0'/>{NO_DNS}{PLAIN}{IP6}")
    assert [one.is_mended for one in found] == [True, False]
    assert "accept_ra=2" in found[1].hint
