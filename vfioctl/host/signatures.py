"""Whether the bytes of a block device say that it is a member of something larger: LVM, md or ZFS. Opens nothing.

A member that is not active is held by nobody, and still losing it damages the volume group, array or pool.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable

Read = Callable[[int, int], bytes]  # offset, size → what is there

SECTOR = 512
LVM_SECTORS = 4  # pvck(8): the label is in one of the first four
LVM_ID, LVM_TYPE = b"LABELONE", b"LVM2 001"  # lvm2, lib/label/label.h: struct label_header

# include/uapi/linux/raid/md_p.h: version 1 keeps its own offset in sectors at byte 144, its name at 32.
MD_MAGIC = 0xA92B4EFC
MD_1 = struct.Struct("<II24x32s80xQ")
MD_0_RESERVED = 64 << 10

INTEL_MAGIC = b"Intel Raid ISM Cfg Sig. "  # two sectors before the end: mdadm, super-intel.c

# OpenZFS, vdev_impl.h: four labels of 256 KiB, two at each end; the XDR list of names and values is 16 KiB into each.
# That list, and no uberblock, is what spares and caches have as well.
ZFS_LABEL, ZFS_LIST, ZFS_LIST_HEAD = 256 << 10, 16 << 10, 8 << 10
ZFS_ENCODING, ZFS_UNIQUE = b"\x01", b"\0\0\0\0\0\0\0\x01"
ZFS_VERSION, ZFS_NAME = b"\0\0\0\x07version", b"\0\0\0\x04name"
ZFS_STRING = struct.Struct(">III")  # type 9, one element, its length
DATA_TYPE_STRING = 9


def reader(fd: int) -> Read:
    """How the file that is open as `fd` is read."""
    return lambda start, size: os.pread(fd, size, start)


def member_of(read: Read, size: int) -> str:
    """What the device of `size` bytes is a member of, in words: "an LVM volume group"; "" for nothing known."""
    pool = zfs_pool(read, size)
    if pool is not None:
        return f"the ZFS pool {pool}" if pool else "a ZFS pool"
    if _is_lvm(read(0, LVM_SECTORS * SECTOR)):
        return "an LVM volume group"
    return _md(read, size)


def _is_lvm(head: bytes) -> bool:
    sectors = (head[start : start + SECTOR] for start in range(0, len(head), SECTOR))
    return any(sector[:8] == LVM_ID and sector[24:32] == LVM_TYPE for sector in sectors)


def _md(read: Read, size: int) -> str:
    """Version 1.1 begins the device, 1.2 is 4 KiB into it, 1.0 at least 8 KiB before its end, 0.90 at least 64 KiB."""
    for start in (0, 4096, (size // SECTOR - 16 & ~7) * SECTOR):
        data = read(start, MD_1.size) if start >= 0 else b""
        if len(data) == MD_1.size:
            magic, major, name, place = MD_1.unpack(data)
            if (magic, major, place) == (MD_MAGIC, 1, start // SECTOR):
                shown = name.rstrip(b"\0").decode("utf-8", "replace")
                return f"the md array {shown}" if shown else "an md array"
    if size >= 2 * SECTOR and read((size // SECTOR - 2) * SECTOR, len(INTEL_MAGIC)) == INTEL_MAGIC:
        return "an Intel firmware RAID"
    start = (size & -MD_0_RESERVED) - MD_0_RESERVED
    data = read(start, 8) if start >= 0 else b""
    magics = [struct.unpack(f"{order}II", data) for order in "<>"] if len(data) == 8 else []  # noqa: PLR2004 -- two words
    return "an md array" if (MD_MAGIC, 0) in magics else ""  # 0.90 is written in the order of its machine


def zfs_pool(read: Read, size: int) -> str | None:
    """The name of the ZFS pool that the device belongs to, "" for a spare or a cache, None for none."""
    end = size & -ZFS_LABEL
    for start in (0, ZFS_LABEL, end - 2 * ZFS_LABEL, end - ZFS_LABEL):
        data = read(start + ZFS_LIST, ZFS_LIST_HEAD) if start >= 0 else b""
        if data[:1] == ZFS_ENCODING and data[4:12] == ZFS_UNIQUE and ZFS_VERSION in data:
            return _zfs_name(data)
    return None


def _zfs_name(data: bytes) -> str:
    """XDR: the length of each name, the name, then type, count, and for a string its length and itself."""
    _, found, rest = data.partition(ZFS_NAME)
    if not found or len(rest) < ZFS_STRING.size:
        return ""
    kind, _, length = ZFS_STRING.unpack_from(rest)
    text = rest[ZFS_STRING.size : ZFS_STRING.size + length] if kind == DATA_TYPE_STRING else b""
    return text.decode("utf-8", "replace")
