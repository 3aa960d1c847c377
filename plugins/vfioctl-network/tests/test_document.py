"""What a network is to be, and the XML of it."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from vfioctl_network.document import document, free_bridge, mac_of
from vfioctl_network.entries import lease_changes, name_changes
from vfioctl_network.wish import BRIDGE, HOSTDEV, ISOLATED, MACVTAP, NAT, ROUTED, Asked, judged

from vfioctl.errors import Refused
from vfioctl.plugin import replace
from vfioctl.virt.networks import parse_network

UUID = "6ec4f3a5-0000-4000-8000-000000000001"
OWN = Asked("lab", subnet="192.168.219.0/24", bridge="virbr1")


@pytest.mark.parametrize(("asked", "bridge", "devices"), [
    (replace(OWN, kind=ISOLATED), "virbr1", ()),
    (replace(OWN, kind=NAT), "virbr1", ()),
    (replace(OWN, kind=NAT, device="eth0"), "virbr1", ("eth0",)),
    (replace(OWN, kind=ROUTED), "virbr1", ()),
    (Asked("lab", BRIDGE, bridge="br0"), "br0", ()),
    (Asked("lab", HOSTDEV, device="enp3s0f0"), "", ("enp3s0f0",)),
    (Asked("lab", MACVTAP, device="eth0"), "", ("eth0",)),
])  # fmt: skip
def test_each_type_is_what_is_read_back(asked: Asked, bridge: str, devices: tuple[str, ...]):
    found = parse_network(document(judged(asked), UUID, mac_of((1, 2, 3))))
    assert (found.name, found.uuid, found.kind, found.bridge, found.devices) == (
        "lab", UUID, asked.kind, bridge, devices,
    )  # fmt: skip
    assert [one.cidr for one in found.subnets] == (["192.168.219.0/24"] if asked.subnet else [])


def test_its_own_bridge_lets_a_port_speak_at_once_and_has_a_mac_of_the_plan():
    root = ET.fromstring(document(judged(OWN), UUID, mac_of((1, 2, 255))))
    assert root.find("bridge").attrib == {"name": "virbr1", "stp": "off", "delay": "0"}
    assert root.find("mac").get("address") == "52:54:00:01:02:ff"
    assert root.find("ip/dhcp/range").attrib == {"start": "192.168.219.2", "end": "192.168.219.254"}


def test_a_domain_is_answered_by_this_network_alone():
    root = ET.fromstring(document(judged(replace(OWN, domain="lab.test")), UUID, "x"))
    assert root.find("domain").attrib == {"name": "lab.test", "localOnly": "yes"}


def test_what_it_keeps_is_read_back_also_where_dhcp_gives_nothing_else_away():
    wish = judged(replace(OWN, gives=False))
    made = parse_network(document(wish, UUID, "x"))
    entries = (
        *lease_changes(made, (), [("52:54:00:0d:00:01", "192.168.219.20")], ()),
        *name_changes(made, [("db", "192.168.219.20"), ("web", "192.168.219.20"), ("old", "10.1.1.1")], ()),
    )
    found = parse_network(document(wish, UUID, "x", entries))
    assert [(one.mac, one.address) for one in found.subnets[0].leases] == [("52:54:00:0d:00:01", "192.168.219.20")]
    assert {one.address: one.names for one in found.names} == {
        "192.168.219.20": ("db", "web"), "10.1.1.1": ("old",),
    }  # fmt: skip


def test_a_bridge_that_nobody_has_is_chosen():
    assert free_bridge({"virbr0", "virbr1", "eth0"}) == "virbr2"


@pytest.mark.parametrize("name", ["", "7", "-x", "x y", "a/b", "..", "x" * 51, "a\nb", "ä"])
def test_a_name_that_would_be_mistaken_is_refused(name: str):
    with pytest.raises(Refused) as refused:
        judged(replace(OWN, name=name))
    assert refused.value.code == "network.bad_name"


@pytest.mark.parametrize("asked", [
    replace(OWN, bridge="a-bridge-that-is-long"), Asked("lab", MACVTAP, device="e h"), replace(OWN, domain="-x"),
])  # fmt: skip
def test_a_bridge_an_interface_or_a_domain_that_cannot_be_is_refused(asked: Asked):
    with pytest.raises(Refused) as refused:
        judged(asked)
    assert refused.value.code == "network.bad_name"


@pytest.mark.parametrize(("asked", "said"), [
    (Asked("lab", NAT), "needs --subnet"), (Asked("lab", BRIDGE), "needs --bridge"),
    (Asked("lab", HOSTDEV), "needs --device"), (Asked("lab", MACVTAP, subnet="10.0.0.0/8"), "has no --subnet"),
    (replace(OWN, kind=ISOLATED, device="eth0"), "has no --device"),
    (Asked("lab", ISOLATED, gateway="10.0.0.1"), "needs --subnet"),
    (Asked("lab", BRIDGE, bridge="br0", gives=False), "has no --no-dhcp"),
    (Asked("lab", BRIDGE, bridge="br0", leases=("a=10.0.0.2",)), "has no --lease"),
    (Asked("lab", ISOLATED, names=("db=10.0.0.2",)), "needs --subnet"),
])  # fmt: skip
def test_options_that_do_not_go_with_the_type_are_refused(asked: Asked, said: str):
    with pytest.raises(Refused, match=said) as refused:
        judged(asked)
    assert refused.value.code == "network.options"


def test_guests_alone_may_have_a_network_without_addresses():
    assert judged(Asked("lab", ISOLATED)).addresses is None
