"""What a disk image says of itself: its backing file and its internal snapshots, read from the file. Runs no program.

The layout of qcow2 is docs/interop/qcow2.txt of QEMU. Reading it takes no lock, so a running guest's image is read too.
"""

from __future__ import annotations

import os
import stat
import struct

from vfioctl.plugin import TYPE_CHECKING, frozen, open_plain, replace

if TYPE_CHECKING:
    from typing import BinaryIO

MAGIC = b"QFI\xfb"
FIXED = struct.Struct(">4sIQIIQIIQQIIQ")  # up to snapshots_offset: 72 bytes
BACKING_FORMAT = 0xE2792ACA
DIRTY, CORRUPT, DATA_FILE = 1, 2, 4  # incompatible features
SNAPSHOT = struct.Struct(">QIHHIIQII")
LONGEST_BACKING = 1023
MOST_SNAPSHOTS = 65536  # QEMU reads no more
MOST_EXTRA = 1024  # bytes beside one entry of the table, as QEMU
FEATURES = 3  # the first version that has them
BLOCK = 512  # bytes, of st_blocks


@frozen
class Internal:
    """An internal snapshot; `made` is in seconds since the epoch. With memory it belongs to a running machine."""

    name: str
    made: float
    has_memory: bool


@frozen
class Image:
    """A disk image. `backing` is as it says itself, "" for none; `used`: bytes on the disk, `size`: what a guest sees.

    `problem` says why it cannot be part of a snapshot, "" for nothing.
    """

    path: str
    format: str
    size: int
    used: int
    device: int
    inode: int
    mode: int = 0o600
    owner: int = 0
    group: int = 0
    backing: str = ""
    backing_format: str = ""
    snapshots: tuple[Internal, ...] = ()
    problem: str = ""


def read(path: str) -> Image:
    """The image at `path`. Whatever has no qcow2 header is raw. Raises OSError, also for what is no plain file."""
    with os.fdopen(open_plain(path, follow=True, foreign=True), "rb") as file:
        status = os.fstat(file.fileno())
        raw = Image(
            path=path, format="raw", size=status.st_size, used=status.st_blocks * BLOCK, device=status.st_dev,
            inode=status.st_ino, mode=stat.S_IMODE(status.st_mode), owner=status.st_uid, group=status.st_gid,
        )  # fmt: skip
        fixed = file.read(FIXED.size)
        return _qcow2(file, fixed, raw) if len(fixed) == FIXED.size and fixed.startswith(MAGIC) else raw


def _qcow2(file: BinaryIO, fixed: bytes, raw: Image) -> Image:
    (_, version, at, length, _, size, crypt, _, _, _, _, count, offset) = FIXED.unpack(fixed)
    try:
        features, header = _features(file, version)
        return replace(
            raw, format="qcow2", size=size, backing=_text(file, at, min(length, LONGEST_BACKING)) if at else "",
            backing_format=_backing_format(file, header, at), snapshots=_snapshots(file, offset, count),
            problem=_problem(crypt, features),
        )  # fmt: skip
    except (struct.error, ValueError):
        return replace(raw, format="qcow2", size=size, problem="its header is damaged")


def _features(file: BinaryIO, version: int) -> tuple[int, int]:
    """The incompatible features and the length of the header; version 2 has neither field."""
    if version < FEATURES:
        return 0, FIXED.size
    file.seek(FIXED.size)
    features, _, _, _, header = struct.unpack(">QQQII", file.read(32))
    return features, header


def _problem(crypt: int, features: int) -> str:
    if crypt:
        return "it is encrypted"
    if features & CORRUPT:
        return "it is marked as corrupt"
    return "its data lie in a separate raw file" if features & DATA_FILE else ""


def _text(file: BinaryIO, at: int, length: int) -> str:
    file.seek(at)
    return os.fsdecode(file.read(length))


def _backing_format(file: BinaryIO, header: int, end: int) -> str:
    """The format of what lies below, from the header's extensions; "" where it says none."""
    file.seek(header)
    while not end or file.tell() < end:
        kind, length = struct.unpack(">II", file.read(8))
        if kind == 0:
            return ""
        value = file.read((length + 7) // 8 * 8)
        if kind == BACKING_FORMAT:
            return value[:length].decode("ascii", "replace")
    return ""


def _snapshots(file: BinaryIO, offset: int, count: int) -> tuple[Internal, ...]:
    if count > MOST_SNAPSHOTS:
        raise ValueError(f"{count} snapshots")
    file.seek(offset)
    return tuple(_snapshot(file) for _ in range(count))


def _snapshot(file: BinaryIO) -> Internal:
    start = file.tell()
    _, _, id_size, name_size, seconds, nanoseconds, _, memory, extra = SNAPSHOT.unpack(file.read(SNAPSHOT.size))
    if extra > MOST_EXTRA:
        raise ValueError(f"{extra} bytes of extra data")
    more = file.read(extra)
    memory = int.from_bytes(more[:8], "big") or memory
    name = file.read(id_size + name_size)[id_size:].decode(errors="replace")
    file.seek(start + (file.tell() - start + 7) // 8 * 8)
    return Internal(name, seconds + nanoseconds / 1e9, bool(memory))
