"""The first bytes of what a simulated disk carries, as the tools that make such things write them."""

from __future__ import annotations

import struct

SECTOR = 512
LABEL = 256 << 10  # of ZFS


def of(what: str, size: int) -> dict[int, bytes]:
    """Offset → bytes of a disk of `size` bytes that carries `what` (FakeBlock.contents). Raises ValueError."""
    kind, _, name = what.partition(":")
    if not what:
        return {}
    if kind == "lvm":
        return {SECTOR: b"LABELONE" + struct.pack("<QII", 1, 0, 32) + b"LVM2 001"}
    if kind == "zfs":
        pool, end = _zfs_list(name), size & -LABEL
        return {start + (16 << 10): pool for start in (0, LABEL, end - 2 * LABEL, end - LABEL)}
    if kind.startswith("md-"):
        return _md(kind.removeprefix("md-"), size)
    raise ValueError(f"the kit knows no disk that carries {what!r}")


def _md(version: str, size: int) -> dict[int, bytes]:
    if version == "0.90":
        return {(size & -65536) - 65536: struct.pack("<IIII", 0xA92B4EFC, 0, 90, 0)}
    start = {"1.0": (size // SECTOR - 16 & ~7) * SECTOR, "1.1": 0, "1.2": 4096}[version]
    head = struct.pack("<IIII16s32s", 0xA92B4EFC, 1, 0, 0, bytes(range(16)), b"host:0")
    return {start: head + bytes(144 - len(head)) + struct.pack("<Q", start // SECTOR)}


def _zfs_list(pool: str) -> bytes:
    """An XDR list of names and values: version, name, state; a spare has no name."""
    pairs = [_number("version", 5000), *([_string("name", pool)] if pool else []), _number("state", 0)]
    return b"\x01\x01\0\0" + struct.pack(">II", 0, 1) + b"".join(pairs) + bytes(8)


def _xdr(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">I", len(data)) + data + bytes(-len(data) % 4)


def _string(name: str, value: str) -> bytes:
    body = _xdr(name) + struct.pack(">II", 9, 1) + _xdr(value)
    return struct.pack(">II", len(body) + 8, 64) + body


def _number(name: str, value: int) -> bytes:
    body = _xdr(name) + struct.pack(">IIQ", 8, 1, value)
    return struct.pack(">II", len(body) + 8, 32) + body
