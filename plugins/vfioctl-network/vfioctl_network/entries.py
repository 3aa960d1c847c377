"""Kept addresses and DNS names of a network: what they become by a wish, and which entries change for it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network
from xml.etree import ElementTree as ET

from vfioctl.plugin import TYPE_CHECKING, Refused, frozen, no_such, replace
from vfioctl_network.addresses import IPV6, NOTHING_CHANGED, host_in, wrong
from vfioctl_network.wish import DOMAIN, bad_name

if TYPE_CHECKING:
    from vfioctl.plugin import Network, Port, Subnet

MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
LEASES, NAMES = "dhcp-host", "dns-host"  # sections, as network.update calls them


@frozen
class Change:
    """An entry that changes: `former` is the element that is there, `entry` the one that is to be; "" for none.

    `address` is the one that is kept from then on, and `mac` whose it is.
    """

    section: str
    index: int
    former: str
    entry: str
    reason: str
    address: str = ""
    mac: str = ""


@frozen
class Kept:
    """An address that is to be kept for a MAC, in the subnet of that `index`."""

    index: int
    mac: str
    address: str
    name: str
    former: str = ""  # the element that is there


def lease_changes(
    network: Network, ports: Iterable[Port], keep: Iterable[tuple[str, str]], drop: Iterable[str]
) -> tuple[Change, ...]:
    """What changes to `keep` an address for each guest or MAC, and to `drop` it for each guest, MAC or address.

    Raises Refused("network.address", "network.no_port", "network.lease_unknown", "network.lease_taken").
    """
    here = tuple(ports)
    present = {one.mac: one for one in _present(network)}
    wanted = dict(present)
    for word in drop:
        del wanted[_dropped(wanted.values(), word, network.name)]
    for word, text in keep:
        mac, name = _whose(here, word, network.name)
        index, address = _place(network, text)
        wanted[mac] = Kept(index, mac, address, name)
    _check_twins(wanted.values())
    return _in_order(_lease_changes(present, wanted))


def name_changes(network: Network, add: Iterable[tuple[str, str]], drop: Iterable[str]) -> tuple[Change, ...]:
    """What changes to `add` each name for its address, and to `drop` each name.

    A name that has another address moves. Raises Refused("network.bad_name", "network.address",
    "network.name_unknown").
    """
    present = {one.address: one for one in network.names}
    wanted = {one.address: list(one.names) for one in network.names}
    for name in drop:
        if not _without(wanted, name):
            known = [each for names in wanted.values() for each in names]
            raise no_such("network.name_unknown", f"Network {network.name} has no name {name!r}", name, known, "It has")
    for name, text in add:
        if not DOMAIN.fullmatch(name):
            raise bad_name(f"{name!r} is no DNS name, such as db or db.lab.test.")
        address = _address(text)
        _without(wanted, name)
        wanted.setdefault(address, []).append(name)
    return _in_order(
        Change(NAMES, 0, present[address].xml if address in present else "", _name_entry(address, names),
               f"{', '.join(names) or 'nothing'} is {address}")
        for address, names in sorted(wanted.items(), key=lambda pair: bool(pair[1]))
        if names != (list(present[address].names) if address in present else [])
    )  # fmt: skip


def beside(one: Change, changes: Iterable[Change]) -> tuple[str, ...]:
    """The entries that the other `changes` take away or put there, and that libvirt would not have beside those of
    `one`.
    """
    others = [other for other in changes if other is not one and other.section == one.section]
    known = (entry for other in others for entry in (other.former, other.entry))
    return tuple(entry for entry in known if any(_clash(entry, mine) for mine in (one.former, one.entry)))


def _in_order(changes: Iterable[Change]) -> tuple[Change, ...]:
    """The same, each after those that take what is in its way; where two wait for each other, one lets go first."""
    waiting, done = list(changes), []
    while waiting:
        one = next((each for each in waiting if not _is_blocked(each, waiting)), None)
        if one:
            waiting.remove(one)
        else:
            one = replace(waiting[0], entry="", reason="what was kept is taken by another entry", address="", mac="")
            waiting[0] = replace(waiting[0], former="")
        done.append(one)
    return tuple(done)


def _is_blocked(one: Change, waiting: Iterable[Change]) -> bool:
    return any(_clash(one.entry, other.former) for other in waiting if other is not one)


def _clash(one: str, other: str) -> bool:
    """Whether libvirt refuses one of two entries beside the other: they have a MAC, a name or an address in common."""
    return not _marks(one).isdisjoint(_marks(other))


def _marks(entry: str) -> frozenset[str]:
    host = ET.fromstring(entry) if entry else ET.Element("host")
    names = (name.text or "" for name in host.iterfind("hostname"))
    return frozenset(filter(None, (host.get("mac", "").lower(), host.get("name"), host.get("ip"), *names)))


def _present(network: Network) -> Iterator[Kept]:
    for index, subnet in enumerate(network.subnets):
        for one in subnet.leases:
            if one.mac:  # those of IPv6 are for a DUID or a name
                yield Kept(index, one.mac.lower(), one.address, one.name, one.xml)


def _lease_changes(present: dict[str, Kept], wanted: dict[str, Kept]) -> Iterator[Change]:
    for mac, one in present.items():
        if mac not in wanted:
            yield Change(LEASES, one.index, one.former, "", f"{one.address} is not kept for {one.name or mac} any more")
    for mac, one in wanted.items():
        former = present.get(mac)
        if former and (former.index, former.address, former.name) == (one.index, one.address, one.name):
            continue
        if former and former.index != one.index:
            yield Change(LEASES, former.index, former.former, "", f"{one.name or mac} gets an address elsewhere")
            former = None
        yield Change(LEASES, one.index, former.former if former else "", _lease_entry(one),
                     f"{one.address} is kept for {one.name or mac}", one.address, mac)  # fmt: skip


def _check_twins(wanted: Iterable[Kept]) -> None:
    seen: dict[str, Kept] = {}
    for one in wanted:
        if other := seen.get(one.address):
            said = f"{one.address} is kept for {other.name or other.mac}, and cannot be for {one.name or one.mac} too."
            hint = f"Let go of it with --no-lease {other.name or other.mac}, or choose another address."
            raise Refused("network.lease_taken", said, state=NOTHING_CHANGED, hints=(hint,))
        seen[one.address] = one


def _dropped(present: Iterable[Kept], word: str, name: str) -> str:
    """The MAC whose address is let go of."""
    known = tuple(present)
    for one in known:
        if word.lower() in (one.mac, one.address) or word == one.name:
            return one.mac
    listed = [one.name or one.mac for one in known]
    raise no_such("network.lease_unknown", f"Network {name} keeps no address for {word!r}", word, listed, "It does for")


def _whose(ports: tuple[Port, ...], word: str, name: str) -> tuple[str, str]:
    """The MAC that `word` means, and what the guest is called in DNS."""
    if MAC.fullmatch(word.lower()):
        owner = next((one.guest for one in ports if one.mac == word.lower()), "")
        return word.lower(), owner if HOST_NAME.fullmatch(owner) else ""
    macs = [one.mac for one in ports if one.guest == word]
    if not macs:
        known = sorted({one.guest for one in ports})
        said = f"No guest {word!r} is on the network {name}"
        raise no_such("network.no_port", said, word, known, "The guests on it")
    if len(macs) > 1:
        said = f"The guest {word} is on the network {name} with several interfaces: {', '.join(macs)}."
        raise Refused("network.no_port", said, state=NOTHING_CHANGED, hints=("Name one by its MAC: MAC=ADDRESS.",))
    return macs[0], word if HOST_NAME.fullmatch(word) else ""


def _place(network: Network, text: str) -> tuple[int, str]:
    """The index of the subnet that has the address, and the address. Raises Refused("network.address")."""
    address = ip_address(_address(text))
    for index, subnet in enumerate(network.subnets):
        found = ip_network(subnet.cidr)
        if address.version == found.version and address in found:
            return index, _free(subnet, text)
    every = ", ".join(one.cidr for one in network.subnets)
    raise wrong(f"{text} is not in the network {network.name}.", f"Expected an address in {every}.")


def _free(subnet: Subnet, text: str) -> str:
    found = ip_network(subnet.cidr)
    if found.version == IPV6:
        said = f"{text} cannot be kept for a MAC: in IPv6 DHCP knows a guest by its DUID."
        raise wrong(said, "Give it a name with --dns NAME=ADDRESS.")
    address = host_in(found, text, "The address")
    if str(address) == subnet.gateway:
        raise wrong(f"{text} is the host's own address there.", "Choose another one.")
    return str(address)


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise wrong(f"{text!r} is no address.", "Expected such as 192.168.219.20.") from None


def _without(wanted: dict[str, list[str]], name: str) -> bool:
    """Take `name` from whichever address has it; whether one had it."""
    found = [names for names in wanted.values() if name in names]
    for names in found:
        names.remove(name)
    return bool(found)


def _lease_entry(one: Kept) -> str:
    name = {"name": one.name} if one.name else {}
    return ET.tostring(ET.Element("host", {"mac": one.mac, **name, "ip": one.address}), encoding="unicode")


def _name_entry(address: str, names: Iterable[str]) -> str:
    host = ET.Element("host", {"ip": address})
    for name in names:
        ET.SubElement(host, "hostname").text = name
    return ET.tostring(host, encoding="unicode") if len(host) else ""
