"""The networks of a node: what their XML says, and what libvirt's test driver has."""

from __future__ import annotations

import pytest

from vfioctl.errors import Refused
from vfioctl.virt.connection import Connection
from vfioctl.virt.guests import read_guests
from vfioctl.virt.networks import (
    DnsName,
    Port,
    StaticLease,
    network_ports,
    parse_network,
    read_leases,
    read_network,
    read_networks,
)

DHCP = """<network><name>lab</name><uuid>6ec4f3a5-0000-4000-8000-000000000001</uuid>{forward}
  <bridge name='virbr7'/><domain name='lab.test'/>
  <dns><host ip='192.168.7.9'><hostname>db</hostname><hostname>sql</hostname></host></dns>
  <ip address='192.168.7.1' netmask='255.255.255.0'><dhcp><range start='192.168.7.2' end='192.168.7.200'/>
  <host mac='52:54:00:00:00:09' name='db' ip='192.168.7.9'/></dhcp></ip>
  <ip family='ipv6' address='fd00:7::1' prefix='64'/></network>"""
OFF = """<domain type='test'><name>other</name><memory>8192</memory><os><type>hvm</type></os><devices>
  <interface type='network'><mac address='52:54:00:AA:00:01'/><source network='lab'/></interface>
  <interface type='user'/></devices></domain>"""


@pytest.mark.parametrize(("forward", "kind", "devices"), [
    ("", "isolated", ()),
    ("<forward/>", "nat", ()),
    ("<forward mode='nat' dev='eth0'><interface dev='eth0'/></forward>", "nat", ("eth0",)),
    ("<forward mode='route'/>", "routed", ()),
    ("<forward mode='bridge'/>", "bridge", ()),
    ("<forward mode='bridge'><interface dev='eth1'/><interface dev='eth2'/></forward>", "macvtap", ("eth1", "eth2")),
    ("<forward mode='hostdev' managed='yes'><pf dev='enp3s0f0'/></forward>", "hostdev", ("enp3s0f0",)),
    ("<forward mode='open'/>", "open", ()),
])  # fmt: skip
def test_each_sort_of_network_is_told_apart(forward: str, kind: str, devices: tuple[str, ...]) -> None:
    found = parse_network(DHCP.format(forward=forward))
    assert (found.kind, found.devices) == (kind, devices)


def test_what_dhcp_and_dns_have_is_known() -> None:
    found = parse_network(DHCP.format(forward=""))
    first, second = found.subnets
    assert (found.bridge, found.domain, first.cidr, second.cidr) == (
        "virbr7", "lab.test", "192.168.7.0/24", "fd00:7::/64",
    )  # fmt: skip
    assert first.ranges == (("192.168.7.2", "192.168.7.200"),)
    host, = first.leases
    assert host.xml.startswith("<host ")
    assert host == StaticLease("52:54:00:00:00:09", "192.168.7.9", "db", host.xml)
    name, = found.names
    assert name == DnsName("192.168.7.9", ("db", "sql"), name.xml)


def test_the_networks_of_a_node_are_read_with_how_they_stand(mock: Connection) -> None:
    mock.libvirt.networkDefineXML(DHCP.format(forward="<forward/>"))
    default, lab = read_networks(mock)
    assert (default.name, default.active, bool(default.live_xml)) == ("default", True, True)
    assert (lab.name, lab.active, lab.persistent, lab.autostart, lab.live_xml) == ("lab", False, True, False, "")
    assert read_network(mock, lab.uuid) == lab
    assert read_leases(mock, lab) == ()


def test_an_unknown_network_is_refused_with_the_nearest(mock: Connection) -> None:
    with pytest.raises(Refused, match='There is no network \'defualt\'; did you mean "default"') as refused:
        read_network(mock, "defualt")
    assert (refused.value.code, refused.value.hints) == ("network.unknown", ("The networks of this host: default",))


def test_a_guest_is_on_a_network_by_the_interfaces_that_it_has(mock: Connection) -> None:
    mock.libvirt.defineXML(OFF)
    ports = {port.guest: port for port in network_ports(read_guests(mock))}
    uuid = ports["other"].uuid
    assert ports["other"] == Port("other", uuid, "52:54:00:aa:00:01", "lab", "")
