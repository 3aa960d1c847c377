"""Which devices of the host a guest's XML names. Reads XML; asks nobody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from xml.etree import ElementTree as ET

from vfioctl.virt.devices import DISK, NETWORK, PCI, USB, as_hex, identity

WHOLE = (PCI, USB)  # what one guest has at a time; a wire and a disk may be shared
Named = tuple[str, str]  # a kind of device, and its name; of USB also VENDOR:DEVICE


def users(documents: Iterable[tuple[str, str]]) -> Mapping[Named, frozenset[str]]:
    """Which guests name a device of the host, by its kind and name: `documents` are names of guests with their XML."""
    found: dict[Named, set[str]] = {}
    for guest, xml in documents:
        for used in _used(ET.fromstring(xml)) if xml else ():
            found.setdefault(used, set()).add(guest)
    return {used: frozenset(guests) for used, guests in found.items()}


def taken_devices(former: str, wanted: str, others: Iterable[tuple[str, str]]) -> Mapping[Named, frozenset[str]]:
    """The PCI and USB devices that the XML `wanted` has more than `former`, with those of `others` that name them."""
    more = {used for used in set(_used(ET.fromstring(wanted))) - set(_used(ET.fromstring(former))) if used[0] in WHOLE}
    return {used: guests for used, guests in users(others).items() if used in more}


def _used(domain: ET.Element) -> Iterator[Named]:
    """What of the host a domain gets as a whole: hostdevs, interfaces that it shares the wire of, block devices."""
    for source in domain.iterfind("devices/hostdev/source"):
        yield from _hostdev(source.find("address"))
        if (vendor := source.find("vendor")) is not None:
            yield USB, identity(vendor, source.find("product"))
    for source in domain.iterfind("devices/interface/source"):
        yield from _hostdev(source.find("address[@type='pci']"))
        if device := source.get("dev", "") or source.get("bridge", ""):
            yield NETWORK, device
    for source in domain.iterfind("devices/disk//source"):  # also of an image below it
        if device := source.get("dev", ""):
            yield DISK, device
        yield from _hostdev(source.find("address"))  # type='nvme': a drive with its controller


def _hostdev(address: ET.Element | None) -> Iterator[Named]:
    """An address on PCI or USB; a mediated device has neither."""
    if address is None:
        return
    if address.get("slot") is not None:
        parts = (as_hex(address.get(part, "0")) or 0 for part in ("domain", "bus", "slot", "function"))
        yield PCI, "{:04x}:{:02x}:{:02x}.{:x}".format(*parts)
    elif address.get("device") is not None:
        yield USB, f"{int(address.get('bus', '0')):03}:{int(address.get('device', '0')):03}"
