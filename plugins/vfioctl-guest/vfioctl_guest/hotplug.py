"""The XML of a device that a guest gets, and which of its own is meant. Reads XML, asks nobody."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from string import ascii_lowercase
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from vfioctl.plugin import Refused, frozen, no_such
from vfioctl_guest.names import NOTHING_CHANGED

if TYPE_CHECKING:
    from vfioctl.plugin import UsbDevice

PREFIXES = {"virtio": "vd", "scsi": "sd", "sata": "sd", "usb": "sd", "ide": "hd"}
QEMU = "52:54:00"  # the prefix of MACs that QEMU and libvirt give (formatdomain)
SOURCES = ("file", "dev", "network", "bridge", "name", "volume")
MEDIUM = ("file", "dev", "pool", "volume", "name")  # of SOURCES what a drive can be on, and whose volume it is
CDROM, USB = "cdrom", "usb"


@frozen
class Medium:
    """What a disk or CD is on: a file or block device of the guest's node; `kind` is file or block."""

    path: str
    kind: str
    format: str


def disk(medium: Medium, target: str, bus: str, *, readonly: bool = False, device: str = "disk") -> str:
    """A disk of `medium`. What the guest frees is freed in the image too (formatdomain, driver discard)."""
    element = ET.Element("disk", type=medium.kind, device=device)
    driver = ET.SubElement(element, "driver", name="qemu", type=medium.format)
    if device == "disk" and not readonly:
        driver.set("discard", "unmap")
    ET.SubElement(element, "source", _source_of(medium))
    ET.SubElement(element, "target", dev=target, bus=bus)
    if readonly or device == CDROM:
        ET.SubElement(element, "readonly")
    return ET.tostring(element, encoding="unicode")


def card(network: str, mac: str) -> str:
    """A network card on libvirt's network `network`."""
    element = ET.Element("interface", type="network")
    ET.SubElement(element, "mac", address=mac)
    ET.SubElement(element, "source", network=network)
    ET.SubElement(element, "model", type="virtio")
    return ET.tostring(element, encoding="unicode")


def usb(device: UsbDevice, *, numbered: bool) -> str:
    """A USB device of the host; `numbered`: its numbers are needed to tell it from another one of its kind.

    With both libvirt takes no other device that has the numbers by then (virUSBDeviceFind() in virusb.c).
    """
    element = ET.Element("hostdev", mode="subsystem", type="usb")
    source = ET.SubElement(element, "source")
    for part, number in zip(("vendor", "product"), device.identity.split(":"), strict=True):
        ET.SubElement(source, part, id=f"0x{number}")
    if numbered:
        ET.SubElement(source, "address", bus=str(device.bus), device=str(device.device))
    return ET.tostring(element, encoding="unicode")


def loaded(drive: str, medium: Medium | None) -> str:
    """The drive with another medium in it, or with none."""
    element = ET.fromstring(drive)
    for child in [one for one in element if one.tag in ("source", "backingStore")]:
        element.remove(child)
    element.set("type", medium.kind if medium else "file")
    if medium:
        element.insert(0, ET.Element("source", _source_of(medium)))
    if medium and (driver := element.find("driver")) is not None:
        driver.set("type", medium.format)
    return ET.tostring(element, encoding="unicode")


def _source_of(medium: Medium) -> dict[str, str]:
    return {"dev" if medium.kind == "block" else "file": medium.path}


def free_target(xmls: Iterable[str], bus: str) -> str:
    """The first target of `bus` that the guest has in none of its documents: vdb. Raises Refused("guest.full")."""
    taken = {one.get("dev") for xml in xmls for one in ET.fromstring(xml).iterfind("devices/disk/target")}
    names = (f"{PREFIXES[bus]}{letter}" for letter in ascii_lowercase)
    if found := next((name for name in names if name not in taken), ""):
        return found
    said = f"The guest has {len(ascii_lowercase)} disks on this bus already."
    raise Refused("guest.full", said, state=NOTHING_CHANGED, hints=("Take another one: --bus scsi",))


def free_mac(taken: frozenset[str]) -> str:
    """A MAC that is not among `taken`."""
    while True:
        tail = ":".join(f"{random.randrange(256):02x}" for _ in range(3))
        if (found := f"{QEMU}:{tail}") not in taken:
            return found


def macs(xml: str) -> frozenset[str]:
    """The MACs of its network cards."""
    return frozenset(one.get("address", "").lower() for one in ET.fromstring(xml).iterfind("devices/interface/mac"))


def path_of(device: str) -> str:
    """The file or block device that a disk is on; "" for anything else."""
    source = ET.fromstring(device).find("source")
    return "" if source is None else source.get("file") or source.get("dev") or ""


def medium_of(drive: str) -> dict[str, str]:
    """What the drive is on, {} for nothing: the same for the same medium, as it runs and as it is configured."""
    source = ET.fromstring(drive).find("source")
    return {} if source is None else {key: value for key in MEDIUM if (value := source.get(key))}


def paths(xml: str) -> frozenset[str]:
    """The files and block devices of its disks."""
    sources = ET.fromstring(xml).iterfind("devices/disk/source")
    return frozenset(one.get("file") or one.get("dev") or "" for one in sources)


def bus_of_cds(xml: str) -> str:
    """Where a further CD drive goes: SATA on a q35 machine, IDE on the others that have it (formatdomain)."""
    machine = ET.fromstring(xml).find("os/type")
    return "sata" if machine is not None and "q35" in machine.get("machine", "") else "ide"


def named(guest: str, xml: str, word: str, *, only: str = "") -> str:
    """The XML of the device that `word` names; `only`: such as cdrom.

    A disk is named by its target or path, a card by its MAC or network, a USB device by its identity or numbers.

    Raises Refused("device.unknown", "device.ambiguous").
    """
    known = list(_devices(xml, only))
    found = [one for one in known if word in names(one)]
    if len(found) == 1:
        return ET.tostring(found[0], encoding="unicode")
    if found:
        listed = ", ".join(names(one)[0] for one in found)
        raise Refused("device.ambiguous", f"Guest {guest} has several devices on {word}.",
                      state=NOTHING_CHANGED, hints=(f"Name one of them: {listed}",))  # fmt: skip
    what = {CDROM: "CD drive", USB: "USB device"}.get(only, "disk, network card or USB device")
    said = f"Guest {guest} has no {what} {word!r}"
    raise no_such("device.unknown", said, word, [names(one)[0] for one in known], "It has")


def drives(xml: str) -> list[str]:
    """The targets of its CD drives."""
    return [names(one)[0] for one in _devices(xml, CDROM)]


def usb_named(guest: str, configured: str, now: str, word: str) -> str:
    """The XML of the USB device `word` as it is configured, if it is: to a running guest libvirt adds its numbers.

    Raises Refused("device.unknown", "device.ambiguous").
    """
    known = {name for one in _devices(configured, USB) for name in names(one)}
    called = [word, *(name for one in _devices(now, USB) if word in names(one) for name in names(one))]
    found = next((name for name in called if name in known), "")
    return named(guest, configured if found else now, found or word, only=USB)


def _devices(xml: str, only: str) -> Iterator[ET.Element]:
    root = ET.fromstring(xml)
    yield from (one for one in root.iterfind("devices/disk") if only in ("", one.get("device", "disk")))
    yield from root.iterfind("devices/interface") if not only else ()
    yield from root.iterfind("devices/hostdev[@type='usb']") if only in ("", USB) else ()


def names(device: ET.Element) -> list[str]:
    """How a person calls a device: first what no other one of the guest is called."""
    if device.tag == "hostdev":
        return _usb_names(device)
    disk = device.tag == "disk"
    own, source = device.find("target" if disk else "mac"), device.find("source")
    first = "" if own is None else own.get("dev" if disk else "address", "")
    more = [] if source is None else [source.get(key, "") for key in SOURCES]
    return [first, *filter(None, more)]


def _usb_names(device: ET.Element) -> list[str]:
    """Its numbers where it has them, and its identity."""
    address, parts = device.find("source/address"), [device.find(f"source/{one}") for one in ("vendor", "product")]
    numbers = [] if address is None else [f"{address.get('bus')}.{address.get('device')}"]
    found = ":".join(one.get("id", "").lower().removeprefix("0x") for one in parts if one is not None)
    return [*numbers, *filter(None, (found,))]


def is_usb(device: str) -> bool:
    """Whether it is a USB device of the host."""
    return ET.fromstring(device).tag == "hostdev"


def called(device: str) -> str:
    """A device in a sentence: "the disk vdb", "the network card 52:54:00:…"."""
    element = ET.fromstring(device)
    if element.tag == "hostdev":
        return f"the USB device {names(element)[-1]}"
    what = {"disk": "disk", CDROM: "CD drive"}.get(element.get("device", "disk"), "drive")
    return f"the {what if element.tag == 'disk' else 'network card'} {names(element)[0]}"
