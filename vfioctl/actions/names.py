"""Names for people: what pci.ids calls a card, what its class is. Without the file the numbers do."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vfioctl import files

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vfioctl.host.model import PciDevice
    from vfioctl.paths import Paths

PLACES = ("usr/share/misc/pci.ids", "usr/share/hwdata/pci.ids")
LARGEST = 16 << 20  # bytes; that of 2025 has 1.5 MB
VENDORS = {0x10DE: "NVIDIA", 0x1002: "AMD", 0x8086: "Intel"}
KINDS = {
    0x0106: "SATA controller", 0x0108: "NVMe controller", 0x0200: "network", 0x0300: "VGA", 0x0302: "3D",
    0x0380: "display", 0x0401: "audio", 0x0403: "audio",
    0x0600: "host bridge", 0x0604: "PCI bridge", 0x0C03: "USB controller",
    0x0C80: "serial bus", 0x1200: "accelerator",
}  # fmt: skip


def kind(device: PciDevice) -> str:
    """The class of `device` in a word or two."""
    return class_name(device.kind)


def class_name(number: int) -> str:
    """The class of a function, base class and sub-class, in a word or two."""
    return KINDS.get(number, f"class {number:04x}")


def names(paths: Paths, devices: Iterable[PciDevice]) -> dict[str, str]:
    """A name for each of `devices` by address; the file is read once."""
    wanted = tuple(devices)
    known = models(paths, {(device.vendor, device.device) for device in wanted})
    return {dev.address: known.get((dev.vendor, dev.device)) or _vendor(dev.vendor) for dev in wanted}


def _vendor(vendor: int) -> str:
    return VENDORS.get(vendor, f"vendor {vendor:04x}")


def models(paths: Paths, wanted: set[tuple[int, int]]) -> dict[tuple[int, int], str]:
    """What pci.ids calls each vendor and device of `wanted`: one that it does not know is left out.

    A vendor's line begins in the first column, its devices are one tab in, subsystems two.
    """
    found: dict[tuple[int, int], str] = {}
    place = next((path for path in map(paths.at, PLACES) if os.path.exists(path)), None)
    if place is None:
        return found
    vendor = 0
    for line in _lines(place):
        if line.startswith("C "):
            break
        if line[:1] not in ("\t", "#", ""):
            vendor = _hex(line)
        elif line[:1] == "\t" and line[1:2] != "\t" and (vendor, _hex(line[1:])) in wanted:
            found[vendor, _hex(line[1:])] = f"{_vendor(vendor)} {line[5:].strip()}"
    return found


def _lines(place: str) -> list[str]:
    """The lines of the file; none where it cannot be read or is larger than any such file: the numbers do then."""
    try:
        return files.read_bytes(place, follow=True, limit=LARGEST).decode(errors="replace").split("\n")
    except OSError:
        return []


def _hex(text: str) -> int:
    try:
        return int(text[:4], 16)
    except ValueError:
        return -1
