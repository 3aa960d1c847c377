"""The addresses of a network that is to be made: what is meant, and whether it can be. Pure."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, TypeAlias

from vfioctl.plugin import Refused, frozen

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

    Address: TypeAlias = IPv4Address | IPv6Address
    Subnet: TypeAlias = IPv4Network | IPv6Network

NOTHING_CHANGED = "Nothing was changed."
EXAMPLE = "Expected such as 192.168.219.0/24."
IPV6 = 6
SHORTEST, HOST_BITS = 8, 2  # the shortest prefix, and the bits that must be left for hosts
MOST_GIVEN = 65535  # addresses of one range: libvirt refuses more (virSocketAddrGetRange)


@frozen
class Addresses:
    """The addresses of a network. `first` and `last` are what DHCP gives away, "" where it does not."""

    cidr: str
    gateway: str
    prefix: int
    first: str = ""
    last: str = ""
    public: bool = False

    @property
    def family(self) -> str:
        return "ipv6" if ":" in self.gateway else "ipv4"


def addresses(subnet: str, gateway: str = "", dhcp: str = "", *, gives: bool = True) -> Addresses:
    """Those of `subnet`; the host has the first one, or `gateway`; DHCP gives away `dhcp` ("FIRST-LAST"), or the rest.

    With IPv6 guests choose their addresses themselves, unless a range is given. Raises Refused("network.address").
    """
    network = parsed_subnet(subnet)
    own = _gateway(network, gateway)
    first, last = _range(network, own, dhcp) if gives else ("", "")
    return Addresses(str(network), str(own), network.prefixlen, first, last, public=network.is_global)


def parsed_subnet(text: str) -> Subnet:
    """The subnet that `text` names. Raises Refused("network.address")."""
    if "/" not in text:
        raise wrong(f"{text!r} says nothing of how large it is.", EXAMPLE)
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise wrong(f"{text!r} is no subnet.", EXAMPLE) from None
    if not SHORTEST <= network.prefixlen <= network.max_prefixlen - HOST_BITS:
        longest = network.max_prefixlen - HOST_BITS
        raise wrong(f"{text} has no size for a network of guests.", f"Expected /{SHORTEST} to /{longest}.")
    if str(network[0]) != text.partition("/")[0] and ip_address(text.partition("/")[0]) != network[0]:
        raise wrong(
            f"{text!r} is an address in {network}, not a subnet.",
            f"Write {network}; the address of the host there is --gateway {text.partition('/')[0]}.",
        )
    if network.is_loopback or network.is_multicast or network.is_link_local or network.is_reserved:
        raise wrong(f"{network} is not for networks of guests.", EXAMPLE)
    return network


def host_in(network: Subnet, text: str, what: str) -> Address:
    """The address `text`, which a host in `network` may have. Raises Refused("network.address") naming `what` it is."""
    try:
        found = ip_address(text)
    except ValueError:
        raise wrong(f"{what} {text!r} is no address.", f"Expected one of {network}.") from None
    if found.version != network.version or found not in network:
        raise wrong(f"{what} {found} is not in {network}.", f"Expected {network[1]} to {last_host(network)}.")
    if found == network[0] or int(found) > int(last_host(network)):
        raise wrong(f"{what} {found} stands for {network} itself.", f"Expected {network[1]} to {last_host(network)}.")
    return found


def last_host(network: Subnet) -> Address:
    """The last address that a host may have: in IPv4 the very last one is the broadcast's."""
    return network[-1] if network.version == IPV6 else network[-2]


def wrong(message: str, hint: str) -> Refused:
    """The refusal of an address."""
    return Refused("network.address", message, state=NOTHING_CHANGED, hints=(hint,))


def _gateway(network: Subnet, text: str) -> Address:
    return host_in(network, text, "The gateway") if text else network[1]


def _range(network: Subnet, own: Address, text: str) -> tuple[str, str]:
    if not text:
        return _rest(network, own) if network.version != IPV6 else ("", "")
    start, dash, end = text.partition("-")
    if not dash:
        example = f"{network[2]}-{last_host(network)}"
        raise wrong(f"The range {text!r} has no end.", f"Expected FIRST-LAST, such as {example}.")
    first, last = (host_in(network, one.strip(), "The range's address") for one in (start, end))
    if int(first) > int(last):
        raise wrong(f"The range {text} ends before it begins.", f"Expected {last}-{first}.")
    if int(first) <= int(own) <= int(last):
        raise wrong(f"The range {text} has the host's own address {own}.", "Begin it after that, or end it before.")
    if int(last) - int(first) >= MOST_GIVEN:
        raise wrong(f"The range {text} is too large.", f"libvirt takes {MOST_GIVEN} addresses at most.")
    return str(first), str(last)


def _rest(network: Subnet, own: Address) -> tuple[str, str]:
    """The larger part of the hosts' addresses that has not the host's own."""
    ends = (int(network[1]), int(own) - 1), (int(own) + 1, int(last_host(network)))
    first, last = max(ends, key=lambda pair: pair[1] - pair[0])
    return str(ip_address(first)), str(ip_address(min(last, first + MOST_GIVEN - 1)))
