"""The XML of a network, made from what it is to be (libvirt.org/formatnetwork.html). Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable
from itertools import count
from xml.etree import ElementTree as ET

from vfioctl.plugin import TYPE_CHECKING
from vfioctl_network.entries import LEASES, NAMES
from vfioctl_network.wish import BRIDGE, HOSTDEV, ISOLATED, MACVTAP, NAT, OWN

if TYPE_CHECKING:
    from vfioctl_network.addresses import Addresses
    from vfioctl_network.entries import Change
    from vfioctl_network.wish import Wish

MODES = {NAT: "nat", "routed": "route", BRIDGE: "bridge", MACVTAP: "bridge", HOSTDEV: "hostdev"}
SECTIONS = {LEASES: ("ip", "dhcp"), NAMES: ("dns",)}  # the elements that their entries lie in


def document(wish: Wish, uuid: str, mac: str, entries: Iterable[Change] = ()) -> str:
    """The configuration of `wish`, with its UUID, the MAC of its own bridge where it has one, and what it keeps."""
    root = ET.Element("network")
    ET.SubElement(root, "name").text = wish.name
    ET.SubElement(root, "uuid").text = uuid
    _forward(root, wish)
    if wish.bridge:
        _bridge(root, wish, mac)
    if wish.domain:
        ET.SubElement(root, "domain", {"name": wish.domain, "localOnly": "yes"})
    if wish.addresses:
        _ip(root, wish.addresses)
    for one in entries:
        _part(root, *SECTIONS[one.section]).append(ET.fromstring(one.entry))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode")


def free_bridge(taken: Container[str]) -> str:
    """The first of virbr1, virbr2, … that nobody has; libvirt's own network has virbr0."""
    return next(name for number in count(1) if (name := f"virbr{number}") not in taken)


def mac_of(octets: Iterable[int]) -> str:
    """A MAC in QEMU's range with three octets of our own."""
    return ":".join(f"{one:02x}" for one in (0x52, 0x54, 0x00, *octets))


def _forward(root: ET.Element, wish: Wish) -> None:
    if wish.kind == ISOLATED:
        return
    forward = ET.SubElement(root, "forward", {"mode": MODES[wish.kind]})
    if wish.kind == HOSTDEV:
        forward.set("managed", "yes")
        ET.SubElement(forward, "pf", {"dev": wish.device})
    elif wish.device:
        forward.set("dev", wish.device)
        ET.SubElement(forward, "interface", {"dev": wish.device})


def _bridge(root: ET.Element, wish: Wish, mac: str) -> None:
    """STP would keep each new port silent for four seconds; one bridge alone makes no loop."""
    bridge = ET.SubElement(root, "bridge", {"name": wish.bridge})
    if wish.kind in OWN:
        bridge.set("stp", "off")
        bridge.set("delay", "0")
        ET.SubElement(root, "mac", {"address": mac})


def _ip(root: ET.Element, found: Addresses) -> None:
    ip = ET.SubElement(root, "ip", {"family": found.family, "address": found.gateway, "prefix": str(found.prefix)})
    if found.first:
        dhcp = ET.SubElement(ip, "dhcp")
        ET.SubElement(dhcp, "range", {"start": found.first, "end": found.last})


def _part(root: ET.Element, *way: str) -> ET.Element:
    """The element at the end of `way`, made where it is missing."""
    for tag in way:
        found = root.find(tag)
        root = ET.SubElement(root, tag) if found is None else found
    return root
