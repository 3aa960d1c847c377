"""Which networks and routes have addresses that another network would have. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from vfioctl.findings import Finding
from vfioctl.frozen import frozen

if TYPE_CHECKING:
    from vfioctl.host.destinations import Destination
    from vfioctl.virt.networks import Network

CODE = "network.address_in_use"
SUGGESTED = range(100, 255)  # of 192.168.N.0/24: home routers have the lower ones


@frozen
class Taken:
    """Addresses that are in use, and in words by whom."""

    cidr: str
    by: str


def taken_addresses(
    networks: Iterable[Network], destinations: Iterable[Destination], *, but: str = ""
) -> tuple[Taken, ...]:
    """What the networks have, but for the one with the UUID `but`, and where the routes of the host lead.

    A route through the bridge of a network says what that network says.
    """
    every = tuple(networks)
    bridges = {one.bridge for one in every if one.bridge}
    known = [
        Taken(subnet.cidr, f"the network {one.name}") for one in every if one.uuid != but for subnet in one.subnets
    ]
    routes = [Taken(one.cidr, _route(one)) for one in destinations if one.interface not in bridges]
    return (*known, *routes)


def address_conflicts(cidr: str, others: Iterable[Taken]) -> Iterator[Finding]:
    """A finding for each of `others` that has an address of `cidr`; the largest alone where one has them all."""
    every = tuple(others)
    found = [one for one in every if _overlap(cidr, one.cidr)]
    for one in found:
        if not any(one is not other and _within(one, other) for other in found):
            yield Finding(
                CODE, f"{cidr} overlaps {one.cidr}, which is in use by {one.by}.", hint=_suggestion(every),
            )  # fmt: skip


def _route(one: Destination) -> str:
    return f"a route of this host through {one.interface}" if one.interface else "a route of this host"


def _overlap(one: str, other: str) -> bool:
    from ipaddress import ip_network  # a completion compares none

    first, second = ip_network(one), ip_network(other)
    return first.version == second.version and first.overlaps(second)


def _within(one: Taken, other: Taken) -> bool:
    """Whether `other` has all that `one` has, and more; of two that are equal the first is named."""
    from ipaddress import ip_network

    first, second = ip_network(one.cidr), ip_network(other.cidr)
    return first != second and first.version == second.version and first.subnet_of(second)  # type: ignore[arg-type]


def _suggestion(others: tuple[Taken, ...]) -> str:
    names = (f"192.168.{number}.0/24" for number in SUGGESTED)
    free = next((name for name in names if not any(_overlap(name, one.cidr) for one in others)), "")
    return f"Choose another subnet, such as {free}." if free else "Choose another subnet."
