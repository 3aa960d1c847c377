"""The block devices that need a PCI function: its disks, their partitions, and what is built on those. Reads only."""

from __future__ import annotations

import os
import re

from vfioctl.frozen import frozen
from vfioctl.host.readers import ADDRESS, device_number, entries, number, text
from vfioctl.paths import Paths

MOST_PARENTS = 8  # dm over md over dm …
CLASS = "class/block"
GENERIC = ("class/scsi_generic", "class/nvme-generic")
SUBSYSTEMS = "nvme-subsystem"
CONTROLLER = re.compile(r"nvme\d+")
SECTOR = 512  # bytes: the unit of /sys/class/block/NAME/size, whatever the disk says of its own


@frozen
class Block:
    """One entry of /sys/class/block; `disk` is the name of its whole disk, its own for a disk."""

    name: str
    number: str  # MAJOR:MINOR
    path: str  # its directory in /sys/devices
    disk: str
    size: int  # bytes
    direct: bool  # a disk of the function or a partition of one; else built on such, as dm, md or bcache
    hidden: bool  # one path of a multipath NVMe namespace: it has no node

    @property
    def rdev(self) -> int:
        """The number as stat(2) gives it."""
        major, _, minor = self.number.partition(":")
        return os.makedev(int(major), int(minor)) if minor.isdecimal() and major.isdecimal() else 0


def has_any(paths: Paths, address: str) -> bool:
    """Whether any disk is behind the function at `address`."""
    return bool(_below(paths, address, CLASS))


def of_function(paths: Paths, address: str) -> tuple[Block, ...]:
    """Every block device that needs the function at `address`, sorted by name; most functions have none."""
    direct = _below(paths, address, CLASS)
    if not direct:
        return ()
    every = entries(paths.at("sys", CLASS))
    needing = [name for name in every if name in direct or address in functions(paths, name)]
    return tuple(read(paths, name, direct=name in direct) for name in needing)


def generic_nodes(paths: Paths, address: str) -> dict[str, int]:
    """Name → number as in st_rdev of the character devices through which disks of the function can be driven as well.

    A guest that has a SCSI disk by `<hostdev type='scsi'>` has such a one open, and not the disk.
    """
    found = {}
    for kind in GENERIC:
        for name in sorted(_below(paths, address, kind)):
            if rdev := device_number(paths.at("sys", kind, name, "dev")):
                found[name] = os.makedev(*rdev)
    return found


def functions(paths: Paths, device: str, depth: int = MOST_PARENTS) -> frozenset[str]:
    """The PCI functions that the block device `device` needs, given as MAJOR:MINOR or as a name."""
    return frozenset().union(*map(_on_the_way, disks(paths, device, depth)))


def disks(paths: Paths, device: str, depth: int = MOST_PARENTS) -> frozenset[str]:
    """Where in /sys/devices the disks and partitions are that it is built on, or it is itself; given in that way."""
    path = _path(paths, device)
    below = entries(os.path.join(path, "slaves")) or entries(os.path.join(path, "..", "slaves"))
    if below and depth:
        return frozenset().union(*(disks(paths, name, depth - 1) for name in below))
    return frozenset((path,))


def name_of(paths: Paths, number: str) -> str:
    """The name of the block device with the number MAJOR:MINOR; "" where sysfs shows none."""
    path = _path(paths, number) if number else ""
    return os.path.basename(path) if path and os.path.isdir(path) else ""


def below(paths: Paths, name: str, depth: int = MOST_PARENTS) -> frozenset[str]:
    """The devices that `name` is a partition of or built on, itself among them; not what lies beside it there."""
    disk, slaves = read(paths, name).disk, entries(os.path.join(_path(paths, name), "slaves"))
    nearest = {disk, *slaves} - {name} if depth else ()
    return frozenset((name,)).union(*(below(paths, one, depth - 1) for one in nearest))


def above(paths: Paths, name: str, depth: int = MOST_PARENTS) -> frozenset[str]:
    """The partitions of the device `name`, and what is built on it or on those, itself among them."""
    path = _path(paths, name)
    parts = (one for one in entries(path) if os.path.exists(os.path.join(path, one, "partition")))
    nearest = {*parts, *entries(os.path.join(path, "holders"))} - {name} if depth else ()
    return frozenset((name,)).union(*(above(paths, one, depth - 1) for one in nearest))


def _path(paths: Paths, device: str) -> str:
    return os.path.realpath(paths.at("sys", "dev/block" if ":" in device else CLASS, device))


def _below(paths: Paths, address: str, kind: str) -> frozenset[str]:
    """The entries of a class below the function; only those links are followed that may lead there."""
    base = paths.at("sys", kind)
    found = set()
    for name in entries(base):
        try:
            target = os.readlink(os.path.join(base, name))
        except OSError:  # it goes away while we look
            continue
        in_subsystem = f"/{SUBSYSTEMS}/" in target
        if f"/{address}/" in target or (
            in_subsystem and address in _on_the_way(os.path.realpath(os.path.join(base, name)))
        ):
            found.add(name)
    return frozenset(found)


def _on_the_way(path: str) -> frozenset[str]:
    """The functions in a sysfs path: what is behind a VMD needs the VMD as well as its own controller."""
    return frozenset().union(*ways(path))


def ways(path: str) -> tuple[frozenset[str], ...]:
    """The functions on each way to the device at `path` in /sys/devices; most have one way.

    With multipath an NVMe namespace is a child of its subsystem, which links to each controller that reaches it:
    nvme_init_subsystem() in drivers/nvme/host/core.c.
    """
    head, middle, tail = path.partition(f"/{SUBSYSTEMS}/")
    if not middle:
        return (frozenset(part for part in path.split("/") if ADDRESS.fullmatch(part)),)
    subsystem = f"{head}{middle}{tail.partition('/')[0]}"
    controllers = [name for name in entries(subsystem) if CONTROLLER.fullmatch(name)]
    return tuple(way for name in controllers for way in ways(os.path.realpath(os.path.join(subsystem, name))))


def read(paths: Paths, name: str, *, direct: bool = True) -> Block:
    """The block device `name`; see Block.direct."""
    path = _path(paths, name)
    is_partition = os.path.exists(os.path.join(path, "partition"))
    return Block(
        name, text(os.path.join(path, "dev")) or "", path,
        disk=os.path.basename(os.path.dirname(path)) if is_partition else name,
        size=(number(os.path.join(path, "size")) or 0) * SECTOR, direct=direct,
        hidden=text(os.path.join(path, "hidden")) == "1",
    )  # fmt: skip
