"""The block devices of a simulated machine as numbers, and what is mounted and swapped to, as /proc shows it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from vfioctl.testing.model import FakeBlock, FakeDevice, MachineSpec

DISK_MAJOR = 259  # blkext: numbers are given in the order in which devices appear
POOL = re.compile(r"/sys/.*/hugepages-(\d+)kB/")
VOLUME_MAJORS = (("dm-", 254), ("md", 9), ("bcache", 252), ("loop", 7), ("sr", 11))


def disks_of(device: FakeDevice) -> tuple[FakeBlock, ...]:
    """The disks behind `device`; the short form is a disk with one partition, which is what is mounted."""
    if device.disk is None:
        return device.disks
    partition = FakeBlock(f"{device.disk}p1", mounted_at=device.mounted_at or "")
    return (FakeBlock(device.disk, partitions=(partition,)), *device.disks)


def every_block(spec: MachineSpec) -> tuple[FakeBlock, ...]:
    """Every disk, partition and volume of the machine."""
    direct = [disk for device in spec.devices for disk in disks_of(device)]
    return tuple(one for disk in (*direct, *spec.volumes) for one in (disk, *disk.partitions))


def numbers(spec: MachineSpec) -> dict[str, tuple[int, int]]:
    """Name → (major, minor): each block device has a number of its own, whatever is bound when."""
    found: dict[str, tuple[int, int]] = {}
    free: dict[int, int] = {}
    for block in every_block(spec):
        major = next((major for prefix, major in VOLUME_MAJORS if block.name.startswith(prefix)), DISK_MAJOR)
        found[block.name] = (major, free.setdefault(major, 0))
        free[major] += 1
    return found


def _mounted(spec: MachineSpec) -> Iterator[tuple[str, str, str, str]]:
    """Number, place, type and source. A btrfs has an anonymous number and names the first of its devices."""
    known = numbers(spec)
    for index, block in enumerate(every_block(spec)):
        source = f"/dev/mapper/{block.mapped}" if block.mapped else f"/dev/{block.name}"
        if block.mounted_at:
            number = f"0:{100 + index}" if block.btrfs else "{}:{}".format(*known[block.name])
            yield number, block.mounted_at, "btrfs" if block.btrfs else "ext4", source
    for index, (source, place, kind) in enumerate(spec.mounts):
        yield f"0:{40 + index}", place, kind, source


def mounts(spec: MachineSpec) -> str:
    disks = "".join(f"{source} {place} {kind} rw 0 0\n" for _, place, kind, source in _mounted(spec))
    return disks + "".join(
        f"hugetlbfs /dev/hugepages{size}K hugetlbfs rw,relatime,pagesize={size}K 0 0\n" for size in _page_sizes(spec)
    )


def _page_sizes(spec: MachineSpec) -> tuple[str, ...]:
    """KiB of the huge pages that have a mount: the default ones, as by systemd, and each whose pool is set by hand."""
    named = (POOL.match(path) for path, _ in spec.settings)
    return tuple(dict.fromkeys(("2048", *(pool[1] for pool in named if pool))))


def mountinfo(spec: MachineSpec) -> str:
    lines = "".join(
        f"{30 + index} 1 {number} / {place} rw,relatime shared:1 - {kind} {source} rw\n"
        for index, (number, place, kind, source) in enumerate(_mounted(spec))
    )
    return lines + "60 1 0:22 / /sys rw,nosuid - sysfs sysfs rw\n"


def swaps(spec: MachineSpec) -> str:
    head = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
    used = (block for block in every_block(spec) if block.swap)
    return head + "".join(f"/dev/{block.name} partition\t{block.size >> 10}\t0\t-2\n" for block in used)


def with_mount(spec: MachineSpec, name: str, place: str) -> MachineSpec:
    """The machine with `name` mounted on `place`, or nowhere."""

    def changed(block: FakeBlock) -> FakeBlock:
        parts = tuple(changed(part) for part in block.partitions)
        return replace(block, partitions=parts, mounted_at=place if block.name == name else block.mounted_at)

    devices = tuple(
        replace(device, disk=None, mounted_at=None, disks=tuple(changed(disk) for disk in disks_of(device)))
        for device in spec.devices
    )
    return replace(spec, devices=devices, volumes=tuple(changed(volume) for volume in spec.volumes))


def is_held(spec: MachineSpec, name: str) -> bool:
    """Whether the kernel refuses an exclusive open: the device, its whole disk or a partition of it is claimed."""
    every = every_block(spec)
    whole = next((disk for disk in every if name in {disk.name, *(part.name for part in disk.partitions)}), None)
    family = (whole, *whole.partitions) if whole else ()
    if whole and name != whole.name:  # a partition is free while only another one is held
        family = tuple(one for one in family if one.name in (name, whole.name))
    return any(_is_claimed(one, every) for one in family)


def _is_claimed(block: FakeBlock, every: tuple[FakeBlock, ...]) -> bool:
    own = (block.mounted_at, block.btrfs, block.swap, block.held)
    return any(own) or any(block.name in other.on for other in every)
