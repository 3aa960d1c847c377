"""Which devices of the host a guest's XML names. Reads XML; asks nobody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from xml.etree import ElementTree as ET

from vfioctl.events.domain import read_hostdevs
from vfioctl.virt.devices import DISK, NETWORK, PCI, USB, identity

MEDIATED = "mdev"
WHOLE = (PCI, USB)  # what one guest has at a time; a wire and a disk may be shared
Named = tuple[str, str]  # a kind of device, and its name; of USB also VENDOR:DEVICE


def users(documents: Iterable[tuple[str, str]]) -> Mapping[Named, frozenset[str]]:
    """Which guests name a device of the host, by its kind and name: `documents` are names of guests with their XML."""
    found: dict[Named, set[str]] = {}
    for guest, xml in documents:
        for used in _used(xml) if xml else ():
            found.setdefault(used, set()).add(guest)
    return {used: frozenset(guests) for used, guests in found.items()}


def taken_devices(former: str, wanted: str, others: Iterable[tuple[str, str]]) -> Mapping[Named, frozenset[str]]:
    """The PCI and USB devices that the XML `wanted` has more than `former`, with those of `others` that name them."""
    more = {used for used in set(_used(wanted)) - set(_used(former)) if used[0] in WHOLE}
    return {used: guests for used, guests in users(others).items() if used in more}


def _used(xml: str) -> Iterator[Named]:
    """What of the host a domain gets: as a whole, in whatever words, interfaces whose wire it shares, block devices."""
    for hostdev in read_hostdevs(xml.encode()):
        if hostdev.address:
            yield PCI, hostdev.address
        elif hostdev.mdev_uuid:
            yield MEDIATED, hostdev.mdev_uuid
    domain = ET.fromstring(xml)
    for source in domain.iterfind("devices/hostdev/source"):
        yield from _usb(source)
    for source in domain.iterfind("devices/interface/source"):
        if device := source.get("dev", "") or source.get("bridge", ""):
            yield NETWORK, device
    for source in domain.iterfind("devices/disk//source"):  # also of an image below it
        if device := source.get("dev", ""):
            yield DISK, device


def _usb(source: ET.Element) -> Iterator[Named]:
    """A USB device by bus and number, by vendor and product, or by both."""
    address, vendor = source.find("address[@device]"), source.find("vendor")
    if address is not None:
        yield USB, f"{int(address.get('bus', '0')):03}:{int(address.get('device', '0')):03}"
    if vendor is not None:
        yield USB, identity(vendor, source.find("product"))
