"""What is mounted or swapped to, and which PCI functions that needs. Reads only.

Of the mount namespace that we are in, the host's own. What another one has mounted, the kernel tells: exclusive.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from vfioctl.frozen import frozen
from vfioctl.host import blocks, readers, usb
from vfioctl.paths import Paths

TABLE_SIZE = 1 << 22
FEWEST_FIELDS = 10  # proc(5): six fields, optional ones, "-", type, source, options
SWAP = "swap"


@frozen
class Mount:
    """One line of /proc/self/mountinfo. `number` is MAJOR:MINOR, anonymous ("0:…") for btrfs, ZFS and overlays."""

    number: str
    place: str
    type: str
    source: str

    def devices(self, paths: Paths) -> tuple[str, ...]:
        """The block devices that the line itself names, by number or by name; bcachefs names several."""
        if not self.number.startswith("0:"):
            return (self.number,)
        sources = self.source.split(":")
        return tuple(os.path.basename(os.path.realpath(paths.at(one))) for one in sources if one.startswith("/dev/"))


def controllers(paths: Paths) -> dict[str, tuple[str, ...]]:
    """PCI address → the mount points (or "swap") of disks behind it, also through dm, md and partitions."""
    found: dict[str, list[str]] = {}
    for device, place in used(paths):
        for address in blocks.functions(paths, device):
            found.setdefault(address, []).append(place)
    return {address: tuple(dict.fromkeys(places)) for address, places in sorted(found.items())}


def usb_mounts(paths: Paths, bus: int, device: int) -> tuple[str, ...]:
    """Where disks on the USB device with these numbers are mounted, also through dm, md and partitions; or "swap"."""
    places = [os.path.realpath(one.path) for one in usb.devices(paths) if (one.bus, one.device) == (bus, device)]
    return tuple(dict.fromkeys(
        where for block, where in (used(paths) if places else ())
        if any(disk.startswith(f"{place}/") for disk in blocks.disks(paths, block) for place in places)
    ))  # fmt: skip


def used(paths: Paths) -> Iterator[tuple[str, str]]:
    """(MAJOR:MINOR or name, mount point) of every mounted block device, (name, "swap") of every swap device."""
    for mount in table(paths):
        yield from ((device, mount.place) for device in mount.devices(paths))
    swaps = (readers.table(os.path.join(paths.proc, "swaps"), TABLE_SIZE) or b"").decode("utf-8", "replace")
    for line in swaps.splitlines()[1:]:
        if line.startswith("/dev/"):
            yield os.path.basename(line.split()[0]), SWAP


def table(paths: Paths) -> Iterable[Mount]:
    """Every mount of our namespace; lines that are garbled are passed over."""
    data = (readers.table(os.path.join(paths.proc, "self", "mountinfo"), TABLE_SIZE) or b"").decode("utf-8", "replace")
    for line in data.splitlines():
        fields = line.split(" ")
        if len(fields) >= FEWEST_FIELDS and "-" in fields[6:-2]:
            rest = fields[fields.index("-", 6) + 1 :]
            yield Mount(fields[2], fields[4].replace("\\040", " "), rest[0], rest[1])
