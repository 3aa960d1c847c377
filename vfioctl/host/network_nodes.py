"""The nodes by which a guest has a network function without VFIO: macvtaps above it, vDPA devices below it. Reads only.

libvirt opens them for QEMU: <interface type='direct'>, <interface type='vdpa'>. The remove() of a vDPA device waits
until its node is closed (drivers/vhost/vdpa.c); a macvtap vanishes under its user (drivers/net/macvlan.c).
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from vfioctl.host.links import LINKS
from vfioctl.host.model import DeviceNode
from vfioctl.host.readers import ADDRESS, device_number, entries, is_numbered, link_name
from vfioctl.paths import Paths

VDPA = "sys/bus/vdpa/devices"  # there while the bus is loaded
UPPER = "upper_"


def of_function(paths: Paths, address: str) -> Iterator[DeviceNode]:
    """The nodes of the macvtaps and the vDPA devices that go with the driver of the function at `address`."""
    for name in entries(paths.pci(address, "net")):
        yield from _taps(paths, name, address)
    for name in entries(paths.at(VDPA)):
        place = os.path.realpath(paths.at(VDPA, name))
        if [part for part in place.split("/") if ADDRESS.fullmatch(part)][-1:] == [address]:
            yield from _shown(place, "vhost-vdpa-", "vdpa", address)


def above(paths: Paths, address: str) -> tuple[str, ...]:
    """The interfaces right above those of the function at `address`."""
    own = entries(paths.pci(address, "net"))
    return tuple(upper for name in own for upper in _uppers(paths, name))


def _taps(paths: Paths, name: str, address: str, below: tuple[str, ...] = ()) -> Iterator[DeviceNode]:
    """Those of the macvtaps that vanish with the interface `name`: what it is a port of, such as a bond, stays.

    `below` are the interfaces that led here.
    """
    master = link_name(paths.at(LINKS, name, "master"))
    for upper in _uppers(paths, name):
        if upper != master and upper not in below:
            yield from _shown(paths.at(LINKS, upper), "tap", "tap", address)
            yield from _taps(paths, upper, address, (*below, name))


def _uppers(paths: Paths, name: str) -> tuple[str, ...]:
    shown = entries(paths.at(LINKS, name))
    return tuple(entry.removeprefix(UPPER) for entry in shown if entry.startswith(UPPER))


def _shown(place: str, stem: str, role: str, address: str) -> Iterator[DeviceNode]:
    """The nodes of what is called `stem` and a number in the directory `place`; of a macvtap its number is no minor."""
    for name in entries(place):
        if is_numbered(name, stem) and (rdev := device_number(os.path.join(place, name, "dev"))):
            yield DeviceNode(f"/dev/{name}", rdev, role, address)
