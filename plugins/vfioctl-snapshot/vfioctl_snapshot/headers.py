"""What a disk image says of itself: its backing file and its internal snapshots, read from the file. Runs no program.

The layout of qcow2 is docs/interop/qcow2.txt of QEMU. Reading it takes no lock, so a running guest's image is read too.
"""

from __future__ import annotations

import os
import stat
import struct

from vfioctl.plugin import TYPE_CHECKING, frozen, open_plain, qcow2_header, replace

if TYPE_CHECKING:
    from typing import BinaryIO

    from vfioctl.plugin import Qcow2

CORRUPT, DATA_FILE = 2, 4  # incompatible features
SNAPSHOT = struct.Struct(">QIHHIIQII")
MOST_SNAPSHOTS = 65536  # QEMU reads no more
MOST_EXTRA = 1024  # bytes beside one entry of the table, as QEMU
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
        return _qcow2(file, raw)


def _qcow2(file: BinaryIO, raw: Image) -> Image:
    try:
        found = qcow2_header(file.fileno())
        return raw if found is None else replace(
            raw, format="qcow2", size=found.size, backing=found.backing, backing_format=found.backing_format,
            snapshots=_snapshots(file, found.table, found.snapshots), problem=_problem(found),
        )  # fmt: skip
    except (struct.error, ValueError):
        return replace(raw, format="qcow2", problem="its header is damaged")


def _problem(found: Qcow2) -> str:
    if found.is_encrypted:
        return "it is encrypted"
    if found.features & CORRUPT:
        return "it is marked as corrupt"
    return "its data lie in a separate raw file" if found.features & DATA_FILE else ""


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
