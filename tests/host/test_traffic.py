"""What the host's network has on a card: the default route in use, and the connections of the SSH server."""

from __future__ import annotations

import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from tests.host.test_network import DEFAULT, DEFAULT6, ETHERNET, HEAD, WIRELESS, interface, routes
from vfioctl.host import ssh

if TYPE_CHECKING:
    from host_tree import Tree

pytestmark = pytest.mark.skipif(sys.byteorder != "little", reason="the tables are a little-endian kernel's")

SECOND = "{name}\t00000000\t0102A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n"
LAN = "{name}\t0002A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n"  # 192.168.2.0/24
FAR = "{name}\t0000000A\t0102A8C0\t0003\t0\t0\t0\t000000FF\t0\t0\t0\n"  # 10.0.0.0/8
LAN6 = f"20010db8{'0' * 24} 40 {'0' * 32} 00 {'0' * 32} 00000100 00000001 00000000 00000001 {{name}}\n"
TCP = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
HOME, LAPTOP, OFFICE, HERE = "0202A8C0", "0902A8C0", "0100000A", "0100007F"
SSH, WEB = "0016", "01BB"


def connection(tree: Tree, *ends: tuple[str, str, str], table: str = "tcp", state: str = "01", inode: int = 77) -> None:
    lines = [f"   {n}: {local}:{port} {remote}:C350 {state} 0:0 00:0 0 0 0 {inode} 1\n"
             for n, (local, port, remote) in enumerate(ends)]
    tree.write(f"proc/self/net/{table}", TCP + "".join(lines))


def server(tree: Tree, comm: str, inode: int = 77) -> None:
    tree.write("proc/4242/comm", f"{comm}\n")
    tree.link("proc/4242/fd/3", "/dev/null")
    tree.link("proc/4242/fd/4", f"socket:[{inode}]")


def carried(tree: Tree, address: str) -> list[str]:
    return [f"{one.what} ({one.interface})" for one in tree.host().traffic(address)]


@pytest.fixture
def two(tree: Tree) -> Tree:
    interface(tree, "eth0", ETHERNET)
    interface(tree, "wlan0", WIRELESS)
    routes(tree, DEFAULT.format(name="eth0"), LAN.format(name="eth0"), FAR.format(name="wlan0"))
    return tree


def test_the_default_route_is_carried_by_the_interface_of_the_lowest_metric(two: Tree) -> None:
    routes(two, SECOND.format(name="wlan0"), DEFAULT.format(name="eth0"))
    assert carried(two, ETHERNET) == ["the default route (eth0)"]
    assert carried(two, WIRELESS) == []


def test_each_family_has_a_default_route(two: Tree) -> None:
    two.write("proc/self/net/ipv6_route", DEFAULT6.format(name="wlan0"))
    assert carried(two, WIRELESS) == ["the default route (wlan0)"]


@pytest.mark.parametrize("upper", ["bond0", "br0", "eth0.7"])
def test_what_is_above_an_interface_carries_for_it(two: Tree, upper: str) -> None:
    for name in ("eth0", "wlan0"):
        two.link(f"sys/devices/virtual/net/{upper}/lower_{name}", "elsewhere")
    two.link(f"sys/class/net/{upper}", f"../../devices/virtual/net/{upper}")
    routes(two, DEFAULT.format(name=upper))
    assert carried(two, ETHERNET) == carried(two, WIRELESS) == [f"the default route ({upper})"]
    assert not two.host().only_network(ETHERNET)


def test_a_bridge_over_a_bond_over_a_card_carries_too(two: Tree) -> None:
    two.link("sys/devices/virtual/net/br0/lower_bond0", "elsewhere")
    two.link("sys/devices/virtual/net/bond0/lower_wlan0", "elsewhere")
    for name in ("br0", "bond0"):
        two.link(f"sys/class/net/{name}", f"../../devices/virtual/net/{name}")
    routes(two, DEFAULT.format(name="br0"))
    assert carried(two, WIRELESS) == ["the default route (br0)"]


def test_as_many_layers_as_the_kernel_nests_carry_too(two: Tree) -> None:
    names = ["mac0", "br10.20", "br10", "bond0.10", "bond0", "team0", "vlan0", "wlan0"]
    for upper, lower in pairwise(names):
        two.link(f"sys/devices/virtual/net/{upper}/lower_{lower}", "elsewhere")
        two.link(f"sys/class/net/{upper}", f"../../devices/virtual/net/{upper}")
    routes(two, DEFAULT.format(name="mac0"))
    assert carried(two, WIRELESS) == ["the default route (mac0)"]


def above_nothing(tree: Tree, name: str, *, kind: int = 1, uevent: str = "", mark: str = "") -> None:
    """An interface without a card, and with nothing below it in sysfs."""
    place = f"sys/devices/virtual/net/{name}"
    tree.write(f"{place}/type", f"{kind}\n")
    tree.write(f"{place}/uevent", f"{uevent}INTERFACE={name}\n")
    if mark:
        tree.write(f"{place}/{mark}", "0x1002\n")
    tree.link(f"sys/class/net/{name}", f"../../devices/virtual/net/{name}")


@pytest.fixture
def switched(two: Tree) -> Tree:
    """A host whose `eth0` is a port of Open vSwitch, as is `veth1`; `br-ex` leads from it to the host."""
    above_nothing(two, "ovs-system")
    above_nothing(two, "veth1")
    for port in ("devices/pci0000:00/" + ETHERNET + "/net/eth0", "devices/virtual/net/veth1"):
        two.link(f"sys/{port}/master", "/elsewhere/ovs-system")
        two.link(f"sys/devices/virtual/net/ovs-system/lower_{port.rpartition('/')[2]}", "elsewhere")
    above_nothing(two, "br-ex")
    return two


def test_a_port_of_open_vswitch_that_leads_to_the_host_is_above_all_its_other_ports(switched: Tree) -> None:
    routes(switched, DEFAULT.format(name="br-ex"))
    assert carried(switched, ETHERNET) == ["the default route (br-ex)"]
    assert carried(switched, WIRELESS) == []
    assert switched.host().only_network(ETHERNET)


def test_an_ssh_peer_behind_open_vswitch_is_seen(switched: Tree) -> None:
    routes(switched, DEFAULT.format(name="wlan0"), LAN.format(name="wlan0"), FAR.format(name="br-ex"))
    connection(switched, (HOME, SSH, OFFICE))
    assert carried(switched, ETHERNET) == ["an SSH connection from 10.0.0.1 (br-ex)"]


def test_a_vlan_above_open_vswitch_carries_too(switched: Tree) -> None:
    above_nothing(switched, "br-ex.7", uevent="DEVTYPE=vlan\n")
    switched.link("sys/devices/virtual/net/br-ex.7/lower_br-ex", "elsewhere")
    routes(switched, DEFAULT.format(name="br-ex.7"))
    assert carried(switched, ETHERNET) == ["the default route (br-ex.7)"]


def test_a_circle_through_open_vswitch_has_an_end(switched: Tree) -> None:
    above_nothing(switched, "br-ex.7", uevent="DEVTYPE=vlan\n")
    switched.link("sys/devices/virtual/net/br-ex.7/lower_br-ex", "elsewhere")
    switched.link("sys/devices/virtual/net/ovs-system/lower_br-ex.7", "elsewhere")
    routes(switched, DEFAULT.format(name="br-ex"))
    assert carried(switched, ETHERNET) == ["the default route (br-ex)"]


@pytest.mark.parametrize(("name", "facts"), [
    ("lo", {"kind": 772}), ("tun0", {"kind": 65534, "mark": "tun_flags"}), ("tap0", {"mark": "tun_flags"}),
    ("virbr0", {"uevent": "DEVTYPE=bridge\n"}), ("wg0", {"kind": 65534, "uevent": "DEVTYPE=wireguard\n"}),
])  # fmt: skip
def test_beside_open_vswitch_what_is_none_of_its_ports_carries_for_no_card(
    switched: Tree, name: str, facts: dict[str, Any]
) -> None:
    above_nothing(switched, name, **facts)
    routes(switched, DEFAULT.format(name=name))
    assert carried(switched, ETHERNET) == []


def test_a_port_that_leads_elsewhere_is_above_no_other(switched: Tree) -> None:
    routes(switched, DEFAULT.format(name="veth1"))
    assert carried(switched, ETHERNET) == []


def test_without_open_vswitch_what_has_nothing_below_it_carries_for_no_card(two: Tree) -> None:
    above_nothing(two, "dummy0")
    routes(two, DEFAULT.format(name="dummy0"))
    assert carried(two, ETHERNET) == carried(two, WIRELESS) == []


def test_a_connection_to_the_ssh_port_leaves_by_the_route_to_its_peer(two: Tree) -> None:
    connection(two, (HOME, SSH, OFFICE))
    assert carried(two, WIRELESS) == ["an SSH connection from 10.0.0.1 (wlan0)"]


def test_it_comes_in_where_the_address_is_that_was_called(two: Tree) -> None:
    connection(two, (HOME, SSH, OFFICE))
    assert "an SSH connection from 10.0.0.1 (eth0)" in carried(two, ETHERNET)


@pytest.mark.parametrize("comm", ["sshd", "sshd-session", "dropbear"])
def test_a_server_on_another_port_is_known_by_its_socket(two: Tree, comm: str) -> None:
    connection(two, (HOME, WEB, OFFICE))
    assert carried(two, WIRELESS) == []
    server(two, comm)
    assert carried(two, WIRELESS) == ["an SSH connection from 10.0.0.1 (wlan0)"]


def test_another_programs_connection_is_nobodys_way_to_the_host(two: Tree) -> None:
    connection(two, (HOME, WEB, OFFICE))
    server(two, "nginx")
    assert carried(two, WIRELESS) == []


@pytest.mark.parametrize("state", ["0A", "06", "08"])
def test_only_an_established_connection_counts(two: Tree, state: str) -> None:
    connection(two, (HOME, SSH, OFFICE), state=state)
    assert ssh.connections(two.paths) == ()


@pytest.mark.parametrize("ends", [(HERE, SSH, HERE), (HOME, SSH, HOME)])
def test_a_connection_of_the_host_with_itself_needs_no_card(two: Tree, ends: tuple[str, str, str]) -> None:
    connection(two, ends)
    assert ssh.connections(two.paths) == ()


def test_an_ipv4_peer_of_an_ipv6_socket_and_an_ipv6_peer_are_found(two: Tree) -> None:
    two.write("proc/self/net/ipv6_route", LAN6.format(name="wlan0"))
    ours, theirs = "B80D0120" + "0" * 16 + "02000000", "B80D0120" + "0" * 16 + "09000000"
    mapped = "0" * 16 + "FFFF0000"
    connection(two, (mapped + HOME, SSH, mapped + OFFICE), (ours, SSH, theirs), table="tcp6")
    assert [one.peer for one in ssh.connections(two.paths)] == ["10.0.0.1", "2001:db8::9"]
    assert "an SSH connection from 2001:db8::9 (wlan0)" in carried(two, WIRELESS)


@pytest.mark.parametrize("table", ["", "garbage\n", TCP + "0: 01:02\n", TCP + "   0: XX:0016 YY:1 01 0 0 0 0 0 0 1\n"])
def test_a_garbled_table_has_no_connections(two: Tree, table: str) -> None:
    two.write("proc/self/net/tcp", table)
    assert ssh.connections(two.paths) == ()


def test_an_unreachable_route_carries_nothing(two: Tree) -> None:
    two.write("proc/self/net/route", HEAD + DEFAULT.format(name="eth0").replace("0003", "0203"))
    assert carried(two, ETHERNET) == []


ON_LINK = f"fe80{'0' * 28} 40 {'0' * 32} 00 {'0' * 32} 00000100 00000002 00000000 00000001 {{name}}\n"
OWN = f"fe80{'0' * 27}{{last}} 80 {'0' * 32} 00 {'0' * 32} 00000000 00000002 00000000 80200001 {{name}}\n"


def test_a_link_local_peer_is_on_the_link_where_our_own_address_is(two: Tree) -> None:
    """Each interface has a route to fe80::/64."""
    own = OWN.format(last=1, name="eth0") + OWN.format(last=2, name="wlan0")
    two.write("proc/self/net/ipv6_route", "".join(ON_LINK.format(name=name) for name in ("eth0", "wlan0")) + own)
    ours, theirs = ("000080FE" + "0" * 16 + f"0{last}000000" for last in (1, 9))
    connection(two, (ours, SSH, theirs), table="tcp6")
    assert "an SSH connection from fe80::9 (eth0)" in carried(two, ETHERNET)
    assert carried(two, WIRELESS) == []


def test_a_link_local_peer_is_perhaps_on_any_link_where_no_address_is_told(two: Tree) -> None:
    two.write("proc/self/net/ipv6_route", "".join(ON_LINK.format(name=name) for name in ("eth0", "wlan0")))
    ours, theirs = ("000080FE" + "0" * 16 + f"0{last}000000" for last in (1, 9))
    connection(two, (ours, SSH, theirs), table="tcp6")
    assert carried(two, WIRELESS) == ["an SSH connection from fe80::9 (wlan0)"]
