"""Whose addresses a network would have too."""

from __future__ import annotations

from vfioctl.host.destinations import Destination
from vfioctl.plugin.conflicts import address_conflicts, taken_addresses
from vfioctl.virt.networks import Network, Subnet

DEFAULT = Network("u0", "default", active=True, persistent=True, autostart=True, kind="nat", bridge="virbr0",
                  subnets=(Subnet("192.168.122.1", 24),))  # fmt: skip


def said(cidr: str, *routes: Destination, but: str = "") -> list[str]:
    return [one.message for one in address_conflicts(cidr, taken_addresses([DEFAULT], routes, but=but))]


def test_a_network_of_the_node_is_named():
    assert said("192.168.122.128/25") == [
        "192.168.122.128/25 overlaps 192.168.122.0/24, which is in use by the network default."
    ]


def test_a_wider_route_counts_as_one_of_a_vpn_has_it():
    route = Destination("10.92.0.0/16", "tun0")
    assert said("10.92.6.0/24", route) == [
        "10.92.6.0/24 overlaps 10.92.0.0/16, which is in use by a route of this host through tun0."
    ]


def test_a_narrower_route_counts_too_and_one_whose_interface_is_not_known():
    assert said("10.0.0.0/8", Destination("10.92.0.0/16")) == [
        "10.0.0.0/8 overlaps 10.92.0.0/16, which is in use by a route of this host."
    ]


def test_only_the_largest_is_named_where_it_has_the_others():
    routes = (Destination("10.92.0.0/16", "tun0"), Destination("10.92.6.0/25", "tun0"))
    assert len(said("10.92.6.0/24", *routes)) == 1


def test_the_route_through_the_bridge_of_a_network_says_nothing_more():
    assert len(said("192.168.122.0/24", Destination("192.168.122.0/24", "virbr0"))) == 1


def test_a_network_is_not_in_its_own_way():
    assert said("192.168.122.0/24", Destination("192.168.122.0/24", "virbr0"), but="u0") == []


def test_other_addresses_and_another_family_do_not_count():
    assert said("192.168.219.0/24", Destination("fd00::/8", "eth0")) == []


def test_a_free_subnet_is_offered():
    others = taken_addresses([DEFAULT], [Destination("192.168.100.0/24", "eth0")])
    (found,) = address_conflicts("192.168.122.0/24", others)
    assert found.code == "network.address_in_use"
    assert found.hint == "Choose another subnet, such as 192.168.101.0/24."
