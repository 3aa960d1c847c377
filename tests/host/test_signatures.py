"""What the first and last bytes of a device say that it is part of."""

from __future__ import annotations

import struct

import pytest

from vfioctl.host.signatures import member_of, zfs_pool
from vfioctl.testing.kernel import contents
from vfioctl.testing.kernel.nodes import Disk

SIZE = (64 << 20) + 512 * 7  # no multiple of what the formats align to


def carried(what: dict[int, bytes] | str, size: int = SIZE) -> str:
    pieces = contents.of(what, size) if isinstance(what, str) else what
    return member_of(Disk(size, pieces, lambda: False).read, size)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("lvm", "an LVM volume group"), ("zfs:tank", "the ZFS pool tank"), ("zfs:", "a ZFS pool"),
        ("md-0.90", "an md array"), ("md-1.0", "the md array host:0"), ("md-1.1", "the md array host:0"),
        ("md-1.2", "the md array host:0"), ("", ""),
    ],
)  # fmt: skip
def test_each_format_is_known_where_its_document_places_it(what: str, words: str) -> None:
    assert carried(what) == words


def test_one_label_of_zfs_at_the_end_is_enough() -> None:
    last = max(contents.of("zfs:tank", SIZE).items())
    read = Disk(SIZE, dict([last]), lambda: False).read
    assert zfs_pool(read, SIZE) == "tank"


def test_a_label_of_lvm_may_be_in_any_of_the_first_four_sectors_and_in_no_other() -> None:
    label = b"LABELONE" + bytes(16) + b"LVM2 001"
    assert [bool(carried({512 * sector: label})) for sector in range(6)] == [True] * 4 + [False] * 2


def test_an_array_of_a_machine_of_the_other_byte_order_is_known() -> None:
    assert carried({(SIZE & -65536) - 65536: struct.pack(">II", 0xA92B4EFC, 0)}) == "an md array"


def test_the_firmware_raid_that_md_drives_is_known() -> None:
    assert carried({(SIZE // 512 - 2) * 512: b"Intel Raid ISM Cfg Sig. 1.3.00"}) == "an Intel firmware RAID"


def test_a_copy_of_a_superblock_elsewhere_is_none() -> None:
    """Version 1 keeps its own place, and a disk holds copies of what its partitions begin with."""
    [(_, superblock)] = contents.of("md-1.2", SIZE).items()
    assert carried({0: superblock}) == ""


@pytest.mark.parametrize("size", [0, 512, 4096, 65535, 262143])
def test_a_tiny_device_is_no_member(size: int) -> None:
    assert carried({}, size) == ""


CUT_OFF = b"\x01\x01\0\0" + b"\0" * 7 + b"\x01" + b"\0\0\0\x07version\0\0\0\x04name"


@pytest.mark.parametrize("data", [b"LABELONE", b"\xff" * 4096, CUT_OFF])
def test_garbage_is_read_without_an_error(data: bytes) -> None:
    assert carried({0: data, 16 << 10: data}) in ("", "a ZFS pool")
