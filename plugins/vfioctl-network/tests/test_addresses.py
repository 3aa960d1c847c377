"""Which addresses a new network gets, and which it cannot have."""

from __future__ import annotations

import pytest
from vfioctl_network.addresses import Addresses, addresses

from vfioctl.errors import Refused


def test_the_host_has_the_first_address_and_dhcp_gives_the_rest():
    assert addresses("192.168.219.0/24") == Addresses(
        "192.168.219.0/24", "192.168.219.1", 24, "192.168.219.2", "192.168.219.254",
    )  # fmt: skip


def test_dhcp_gives_the_larger_part_beside_a_gateway_in_the_middle():
    found = addresses("192.168.219.0/24", "192.168.219.100")
    assert (found.first, found.last) == ("192.168.219.101", "192.168.219.254")


def test_a_range_may_be_chosen_or_left_out():
    found = addresses("192.168.219.0/24", dhcp="192.168.219.100-192.168.219.150")
    assert (found.first, found.last) == ("192.168.219.100", "192.168.219.150")
    assert addresses("192.168.219.0/24", gives=False).first == ""


def test_of_a_large_subnet_dhcp_gives_as_much_as_libvirt_takes():
    assert addresses("10.0.0.0/8").last == "10.1.0.0"


def test_guests_choose_their_addresses_themselves_in_ipv6():
    found = addresses("fd00:219::/64")
    assert (found.gateway, found.family, found.first) == ("fd00:219::1", "ipv6", "")
    assert addresses("fd00:219::/64", dhcp="fd00:219::10-fd00:219::20").last == "fd00:219::20"


def test_addresses_of_the_internet_are_known_as_such():
    assert addresses("8.8.8.0/24").public
    assert not addresses("10.92.0.0/24").public


@pytest.mark.parametrize(("subnet", "said"), [
    ("192.168.219.0", "says nothing of how large"), ("192.168.219/x", "is no subnet"), ("lab/24", "is no subnet"),
    ("192.168.219.7/24", "is an address in 192.168.219.0/24"), ("127.0.0.0/8", "not for networks of guests"),
    ("224.0.0.0/8", "not for networks"), ("169.254.0.0/16", "not for networks"), ("240.0.0.0/8", "not for networks"),
    ("192.168.219.0/31", "no size"), ("10.0.0.0/7", "no size"), ("10.0.0.0/1", "no size"),
    ("fe80::/64", "not for networks"),
])  # fmt: skip
def test_a_subnet_that_cannot_be_is_refused(subnet: str, said: str):
    with pytest.raises(Refused, match=said) as refused:
        addresses(subnet)
    assert (refused.value.code, refused.value.state) == ("network.address", "Nothing was changed.")


@pytest.mark.parametrize(("gateway", "dhcp", "said"), [
    ("192.168.218.1", "", r"The gateway 192\.168\.218\.1 is not in"), ("x", "", "'x' is no address"),
    ("192.168.219.0", "", "stands for"), ("192.168.219.255", "", "stands for"), ("fd00::1", "", "is not in"),
    ("", "192.168.219.9", "has no end"), ("", "192.168.219.9-192.168.219.5", "ends before it begins"),
    ("", "192.168.219.1-192.168.219.5", "the host's own address"), ("", "192.168.219.9-192.168.220.9", "is not in"),
])  # fmt: skip
def test_a_gateway_or_a_range_that_cannot_be_is_refused(gateway: str, dhcp: str, said: str):
    with pytest.raises(Refused, match=said):
        addresses("192.168.219.0/24", gateway, dhcp)


def test_a_range_that_libvirt_would_refuse_is_refused():
    with pytest.raises(Refused, match="too large"):
        addresses("10.0.0.0/8", dhcp="10.0.0.2-10.1.0.2")
