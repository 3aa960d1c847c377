"""The devices of a node as its libvirt lists them: PCI, USB, network, disks. Reads XML; changes nothing.

https://libvirt.org/formatnode.html
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from vfioctl.frozen import frozen
from vfioctl.virt.connection import binding
from vfioctl.virt.together import together

if TYPE_CHECKING:
    from libvirt import virConnect, virNodeDevice

    from vfioctl.virt.connection import Connection

KINDS = GPU, PCI, USB, NETWORK, DISK = "gpu", "pci", "usb", "network", "disk"
DISPLAY = 0x03  # the base class of display controllers (PCI Code and ID Assignment)
LOOPBACK = "lo"
NO_SPEED = ("", "4294967295")  # the kernel's -1, which libvirt reads without its sign
# Disks that are no ATA or SCSI are told by the name that the kernel gives them; udev says "" of their bus.
BUSES = (("nvme", "nvme"), ("vd", "virtio"), ("mmcblk", "mmc"), ("zram", "zram"))


@frozen
class Device:
    """A device; `name` is a PCI address, bus:device of USB, an interface, or the path of a disk.

    `identity` is VENDOR:DEVICE in hex, the MAC of an interface, the serial number of a disk. `bus` of a disk is nvme,
    ata, scsi, usb, virtio …; `parent` the PCI function that it hangs on. What does not apply is "" or None.
    """

    kind: str
    name: str
    vendor: str = ""
    product: str = ""
    identity: str = ""
    driver: str = ""
    pci_class: int | None = None
    group: int | None = None
    numa: int | None = None
    bus: str = ""
    size: int | None = None
    removable: bool | None = None
    state: str = ""  # of a link: up, down
    speed: int | None = None  # of a link, in Mbit/s
    parent: str = ""


def read_devices(connection: Connection) -> tuple[Device, ...]:
    """Every device of the node, by kind and name. Raises VfioctlError as `Connection.ask`."""
    return devices(connection.ask(documents, "its devices"))


def documents(libvirt: virConnect, kinds: int = 0) -> list[str]:
    """What libvirt says of each device of these kinds, its flags; of all for 0. Raises libvirtError."""
    return [text for text in together(_document, libvirt.listAllDevices(kinds)) if text]


def _document(device: virNodeDevice) -> str:
    """"" for one that was pulled out meanwhile."""
    module = binding()
    try:
        return str(device.XMLDesc(0))
    except module.libvirtError as error:
        if error.get_error_code() == module.VIR_ERR_NO_NODE_DEVICE:
            return ""
        raise


def devices(listed: Iterable[str]) -> tuple[Device, ...]:
    """The devices that these documents describe."""
    roots = {root.findtext("name", ""): root for root in map(ET.fromstring, listed)}
    found = [one for root in roots.values() if (one := _device(root, _pci_above(roots, root)))]
    return tuple(sorted(found, key=lambda one: (KINDS.index(one.kind), one.name)))


def _device(root: ET.Element, above: str) -> Device | None:
    """None for what is no device of its own: a bus, a port, a name space of a drive."""
    capability = root.find("capability")
    make = None if capability is None else MADE.get(capability.get("type", ""))
    return None if capability is None or make is None else make(root, capability, above)


def _pci_above(roots: Mapping[str, ET.Element], device: ET.Element) -> str:
    """The address of the PCI function that `device` hangs on, "" for none: a bridge, a virtual device."""
    seen: set[str] = set()
    name = device.findtext("parent", "")
    while (above := roots.get(name)) is not None and name not in seen:
        seen.add(name)
        capability = above.find("capability[@type='pci']")
        if capability is not None:
            return _address(capability)
        name = above.findtext("parent", "")
    return ""


def _pci(root: ET.Element, capability: ET.Element, above: str) -> Device:
    number = as_hex(capability.findtext("class", ""))
    group, numa = capability.find("iommuGroup"), capability.find("numa")
    return Device(
        kind=GPU if number is not None and number >> 16 == DISPLAY else PCI, name=_address(capability),
        vendor=capability.findtext("vendor", ""), product=capability.findtext("product", ""),
        identity=_identity(capability), driver=root.findtext("driver/name", ""),
        pci_class=None if number is None else number >> 8,
        group=None if group is None else int(group.get("number", "0")),
        numa=None if numa is None else int(numa.get("node", "0")), parent=above,
    )  # fmt: skip


def _usb(root: ET.Element, capability: ET.Element, above: str) -> Device:
    return Device(
        kind=USB, name=f"{_number(capability, 'bus'):03}:{_number(capability, 'device'):03}",
        vendor=capability.findtext("vendor", ""), product=capability.findtext("product", ""),
        identity=_identity(capability), driver=root.findtext("driver/name", ""), parent=above,
    )  # fmt: skip


def _network(_: ET.Element, capability: ET.Element, above: str) -> Device | None:
    name, link = capability.findtext("interface", ""), capability.find("link")
    speed = "" if link is None else link.get("speed", "")
    return None if name == LOOPBACK else Device(
        kind=NETWORK, name=name, identity=capability.findtext("address", ""), parent=above,
        state="" if link is None else link.get("state", ""), speed=int(speed) if speed not in NO_SPEED else None,
    )  # fmt: skip


def _disk(_: ET.Element, capability: ET.Element, above: str) -> Device | None:
    path = capability.findtext("block", "")
    name, media = posixpath.basename(path), capability.find("capability[@type='removable']")
    size = capability.findtext("size", "") or ("" if media is None else media.findtext("media_size", ""))
    bus = next((bus for prefix, bus in BUSES if name.startswith(prefix)), capability.findtext("bus", ""))
    return Device(
        kind=DISK, name=path, vendor=capability.findtext("vendor", ""), product=capability.findtext("model", ""),
        identity=capability.findtext("serial", ""), bus=bus, size=int(size) if size.isdecimal() else None,
        removable=media is not None, parent=above,
    ) if path else None  # fmt: skip


Made = Callable[[ET.Element, ET.Element, str], Device | None]
MADE: Mapping[str, Made] = {"pci": _pci, "usb_device": _usb, "net": _network, "storage": _disk}


def _address(pci: ET.Element) -> str:
    domain, bus, slot, function = (_number(pci, part) for part in ("domain", "bus", "slot", "function"))
    return f"{domain:04x}:{bus:02x}:{slot:02x}.{function:x}"


def _identity(capability: ET.Element) -> str:
    return identity(capability.find("vendor"), capability.find("product"))


def identity(vendor: ET.Element | None, product: ET.Element | None) -> str:
    """VENDOR:DEVICE of two elements with an `id`, four hex digits each."""
    return ":".join(f"{0 if one is None else as_hex(one.get('id', '')) or 0:04x}" for one in (vendor, product))


def _number(element: ET.Element, part: str) -> int:
    text = element.findtext(part, "0")
    return int(text) if text.isdecimal() else 0


def as_hex(text: str) -> int | None:
    """The number that `text` is in hex, with 0x or without; None where it is none."""
    try:
        return int(text, 16)
    except ValueError:
        return None
