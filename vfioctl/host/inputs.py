"""The keyboards and mice of this host, by the names that udev keeps for them. Reads only."""

from __future__ import annotations

import os

from vfioctl.host.readers import entries, number, text
from vfioctl.host.usb import DEVICES
from vfioctl.paths import Paths

PLACE = "/dev/input/by-id"
ENDINGS = ("-event-kbd", "-event-mouse")  # of the evdev nodes; without "event" it is an older interface

HID, KEYBOARD = 3, 1  # USB-IF: a class of interfaces, and a protocol of it


def devices(paths: Paths) -> tuple[str, ...]:
    """Their paths on the host, sorted; none where there is no udev."""
    try:
        names = os.listdir(paths.at(PLACE))
    except OSError:
        return ()
    return tuple(f"{PLACE}/{name}" for name in sorted(names) if name.endswith(ENDINGS))


def keyboards_behind(paths: Paths, address: str) -> tuple[str, ...]:
    """The USB keyboards that hang on the PCI function at `address`: by what they call themselves, else by their place.

    Each interface of a device lies below the functions on the way to it in /sys.
    """
    found = {}
    for name in entries(paths.at(DEVICES)):
        place = paths.at(DEVICES, name)
        kind = number(os.path.join(place, "bInterfaceClass"), 16), number(os.path.join(place, "bInterfaceProtocol"), 16)
        if kind == (HID, KEYBOARD) and address in os.path.realpath(place).split("/"):
            device = name.partition(":")[0]
            found[device] = text(paths.at(DEVICES, device, "product")) or device
    return tuple(found.values())
