"""At which addresses a running guest is reached: from its agent, libvirt's leases and the host's ARP. Changes nothing.

Only addresses of the guest's own network cards count: an agent also names those of bridges inside the guest.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from vfioctl.frozen import frozen
from vfioctl.virt.agents import answering_within
from vfioctl.virt.connection import binding
from vfioctl.virt.hardware import guest_interfaces, guest_machine

if TYPE_CHECKING:
    from libvirt import virConnect, virDomain

    from vfioctl.virt.connection import Connection

AGENT, LEASE, ARP = "agent", "lease", "arp"
SOURCES = {AGENT: 1, LEASE: 0, ARP: 2}  # virDomainInterfaceAddressesSource; the surest first
CALLED = {AGENT: "its agent", LEASE: "the leases of its networks", ARP: "the ARP table of its node"}
FAMILIES = {0: "ipv4", 1: "ipv6"}  # virIPAddrType
ANSWER = 5  # seconds for its agent


@frozen
class GuestAddress:
    """`family` is ipv4 or ipv6, `source` agent, lease or arp: who said so."""

    address: str
    prefix: int
    family: str
    mac: str
    source: str


@frozen
class GuestAddresses:
    """What was found, the surest first, each address once; and why each other source said none, in words."""

    found: tuple[GuestAddress, ...] = ()
    silent: tuple[str, ...] = ()


def read_addresses(connection: Connection, uuid: str) -> GuestAddresses:
    """The addresses of the guest `uuid`; none where it is off. Raises VfioctlError as `Connection.ask`."""
    return connection.ask(lambda libvirt: _read(libvirt, uuid), "its addresses")


def _read(libvirt: virConnect, uuid: str) -> GuestAddresses:
    domain = libvirt.lookupByUUIDString(uuid)
    if not domain.isActive():
        return GuestAddresses(silent=("it is off",))
    xml = domain.XMLDesc(0)
    macs = {card.mac.lower() for card in guest_interfaces(xml)}
    if not macs:
        return GuestAddresses(silent=("it has no network card",))
    found: dict[str, GuestAddress] = {}
    silent: list[str] = []
    for source in SOURCES:
        said = list(_asked(domain, source, macs, silent, agent=guest_machine(xml).agent))
        for one in said:
            found.setdefault(one.address, one)
    return GuestAddresses(tuple(found.values()), tuple(silent))


def _asked(domain: virDomain, source: str, macs: set[str], silent: list[str], *, agent: str) -> Iterator[GuestAddress]:
    """What one source says; why it says nothing goes to `silent`."""
    module = binding()
    if source == AGENT and agent != "connected":
        silent.append("its agent is not connected" if agent else "it has no channel for an agent")
        return
    try:
        cards = _from(domain, source)
    except module.libvirtError as error:
        silent.append(f"{CALLED[source]}: {str(error.get_error_message() or error).rstrip('.')}")
        return
    found = list(_usable(cards, source, macs))
    if not found:
        silent.append(f"{CALLED[source]}: none")
    yield from found


def _from(domain: virDomain, source: str) -> dict[str, Any]:
    """libvirt's answer; its agent gets no longer than `ANSWER`, whatever it does."""
    with answering_within(domain, ANSWER) if source == AGENT else nullcontext():
        return dict(domain.interfaceAddresses(SOURCES[source], 0) or {})


def _usable(cards: dict[str, Any], source: str, macs: set[str]) -> Iterator[GuestAddress]:
    for card in cards.values():
        mac = (card.get("hwaddr") or "").lower()
        for one in card.get("addrs") or () if mac in macs else ():
            if _is_reached(one["addr"]):
                yield GuestAddress(one["addr"], one["prefix"], FAMILIES.get(one["type"], ""), mac, source)


def _is_reached(address: str) -> bool:
    """Whether somebody else can reach it without naming a card: link-local ones need that."""
    try:
        known = ip_address(address)
    except ValueError:
        return False
    return not (known.is_loopback or known.is_link_local or known.is_unspecified)
