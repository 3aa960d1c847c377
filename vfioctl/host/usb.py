"""The USB devices of the host, as libvirt finds them (virusb.c). Reads only."""

from __future__ import annotations

import os

from vfioctl.frozen import frozen
from vfioctl.host.readers import entries, number
from vfioctl.paths import Paths

DEVICES = "sys/bus/usb/devices"
HUB = 9  # USB-IF, base class


@frozen
class UsbEntry:
    """One device on the bus."""

    vendor: int | None
    product: int | None
    bus: int | None
    device: int | None
    path: str = ""  # its directory in /sys
    hub: bool = False


def devices(paths: Paths) -> tuple[UsbEntry, ...]:
    """Every device but the root hubs ("usb1"); "1-2:1.0" is an interface of one."""
    names = (name for name in entries(paths.at(DEVICES)) if ":" not in name and not name.startswith("usb"))
    return tuple(_read(paths.at(DEVICES, name)) for name in names)


def _read(base: str) -> UsbEntry:
    vendor, product = (number(os.path.join(base, name), 16) for name in ("idVendor", "idProduct"))
    bus, device = (number(os.path.join(base, name)) for name in ("busnum", "devnum"))
    return UsbEntry(vendor, product, bus, device, base, hub=number(os.path.join(base, "bDeviceClass"), 16) == HUB)
