"""What goes from the host together with PCI functions: their nodes, USB devices and interfaces. Reads only."""

from __future__ import annotations

import os

from vfioctl.host import interfaces, links
from vfioctl.host.blocks import ways
from vfioctl.host.readers import text
from vfioctl.paths import Paths


def of_node(paths: Paths, node: str, taken: frozenset[str]) -> str:
    """Which of `taken` the device `node`, "block/8:0" or "char/13:64", goes with; "" where it stays."""
    return of_device(paths.at("sys/dev", node), taken)


def of_device(place: str, taken: frozenset[str]) -> str:
    """The same of the device whose directory in /sys is `place`: it goes when every way to it leads over `taken`."""
    over = [sorted(way & taken) for way in ways(os.path.realpath(place))]
    return over[0][0] if over and all(over) else ""


def of_interface(paths: Paths, name: str, taken: frozenset[str]) -> str:
    """The same of a network interface; a VLAN goes with the one below it, a bridge and a bond stay."""
    base = paths.at(links.LINKS, name)
    if "DEVTYPE=vlan" not in (text(os.path.join(base, "uevent")) or ""):
        return of_device(base, taken)
    below = (of_device(paths.at(links.LINKS, name), taken) for name in interfaces.lower(base))
    return next(filter(None, below), "")
