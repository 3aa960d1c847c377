"""Devices of a guest as the steps of hot-plug see them: which one is meant, and whether it is there. Changes nothing.

A disk is known by its target, a network card by its MAC, a USB device of the host by its vendor and product, and by its
numbers where the configuration has them: to a running guest libvirt adds them. What a step adds bears the operation's
name as its alias, which libvirt keeps in both (formatdomain, "User-defined alias").
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed, StepRefused

if TYPE_CHECKING:
    from typing import Any
    from xml.etree.ElementTree import Element

LIVE, CONFIG = "live", "config"
OURS = "ua-vfioctl-"
# What libvirt adds to a device of a running guest, and takes from nobody (formatdomain).
ADDED = ("backingStore", "mirror")
# What tells two devices of one name apart.
SOURCE = ("file", "dev", "pool", "volume", "network", "bridge", "name")


def device_of(document: str) -> Element:
    """The device that is meant. Raises StepFailed("device.malformed") for what is none of the three."""
    try:
        found = ET.fromstring(document)  # it comes from a blob that only we write
    except ET.ParseError as error:
        raise StepFailed("device.malformed", f"The XML of the device cannot be read: {error}.") from error
    if not identity(found):
        raise StepFailed("device.malformed", "The device is no disk with a target, network card with a MAC, or on USB.")
    return found


def identity(device: Element) -> str:
    """What it is called: "disk vdb", "interface 52:54:00:…"; "" for what has no such name."""
    target, mac = device.find("target"), device.find("mac")
    if device.tag == "disk" and target is not None and target.get("dev"):
        return f"disk {target.get('dev')}"
    if device.tag == "interface" and mac is not None and mac.get("address"):
        return f"interface {mac.get('address', '').lower()}"
    if device.tag == "hostdev" and device.get("type") == "usb":
        return _usb(device)
    return ""


def _usb(device: Element) -> str:
    """By the hex digits of vendor and product, as `lsusb` has them; by its numbers where it has no others."""
    parts = (device.find(f"source/{part}") for part in ("vendor", "product"))
    found = ":".join(one.get("id", "").lower().removeprefix("0x") for one in parts if one is not None)
    return f"usb {found or '.'.join(usb_numbers(device) or ())}"


def _is(one: Element, wanted: Element) -> bool:
    """Whether `one` is what `wanted` names."""
    where = usb_numbers(wanted)
    return identity(one) == identity(wanted) and (where is None or usb_numbers(one) == where)


def usb_numbers(device: Element) -> tuple[str, str] | None:
    """The numbers of a USB device of the host; None for one that is not named by them, and for anything else."""
    address = device.find("source/address") if device.get("type") == "usb" else None
    return None if address is None else (address.get("bus", ""), address.get("device", ""))


def present(handle: Any, wanted: Element, where: str) -> Element | None:
    """The device of that name in the running guest, or in its configuration; None where it is not there."""
    import libvirt

    if where == LIVE and not handle.isActive():
        return None
    flags = 0 if where == LIVE else libvirt.VIR_DOMAIN_XML_INACTIVE
    root = ET.fromstring(handle.XMLDesc(flags | libvirt.VIR_DOMAIN_XML_SECURE))
    return next((one for one in root.iterfind(f"devices/{wanted.tag}") if _is(one, wanted)), None)


def alias(device: Element) -> str:
    """Its alias; "" for none."""
    found = device.find("alias")
    return "" if found is None else found.get("name", "")


def same(one: Element, other: Element) -> bool:
    """Whether two devices of one name are the same: both on the same file, volume or network."""
    return _source(one) == _source(other)


def _source(device: Element) -> dict[str, str]:
    source = device.find("source")
    return {} if source is None else {key: value for key in SOURCE if (value := source.get(key)) is not None}


def plain(device: Element) -> str:
    """The device as it can be given to libvirt once more: without what only the running guest has."""
    copy = ET.fromstring(ET.tostring(device))
    gone = ADDED if alias(copy).startswith("ua-") else (*ADDED, "alias")
    for child in [one for one in copy if one.tag in gone]:
        copy.remove(child)
    source = copy.find("source")
    if source is not None:
        source.attrib.pop("index", None)
        source.attrib.pop("portid", None)
    target = copy.find("target")
    if copy.tag == "interface" and target is not None:
        copy.remove(target)
    return ET.tostring(copy, encoding="unicode")


def flags(places: frozenset[str]) -> int:
    """libvirt's flags for a change in these places."""
    import libvirt

    found = {LIVE: libvirt.VIR_DOMAIN_AFFECT_LIVE, CONFIG: libvirt.VIR_DOMAIN_AFFECT_CONFIG}
    return sum(found[one] for one in places)


def must_have_places(handle: Any, places: frozenset[str]) -> None:
    """Raise StepRefused where the guest is off that should get it while it runs, or has saved memory."""
    if LIVE in places and not handle.isActive():
        raise StepRefused("domain.off", f"The guest {handle.name()} is off.", hints=("Plan it once more.",))
    if LIVE not in places and not handle.isActive() and handle.hasManagedSaveImage(0):
        said = f"The guest {handle.name()} has a saved state: its next start would go on from that, without the change."
        raise StepRefused("domain.saved", said, hints=("Start it and shut it down, or discard the saved state.",))
