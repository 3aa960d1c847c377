"""What the header of a disk image says: the backing chain, as libvirt follows it at a start, and the size.

Reads headers, never data; knows no domain. Formats: QEMU's docs/interop/qcow2.rst (qcow has its backing name in the
same place) and docs/interop/qed_spec.rst.
"""

from __future__ import annotations

import os
import re
import stat
import struct
from collections.abc import Callable, Iterable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.frozen import frozen
from vfioctl.paths import Paths

if TYPE_CHECKING:
    from typing import Any, TypeVar

    T = TypeVar("T")

LONGEST = 200  # files; libvirt calls a longer chain "self-referential or too deeply nested"
QCOW2_HEADER = struct.Struct(">4sIQIIQIIQQIIQQQQII")  # up to its own length; version 2 has the first 72 bytes of it
QCOW2_COMMON = 72
QCOW1_HEADER = 48
BACKING_FORMAT, DATA_NAME = 0xE2792ACA, 0x44415441  # qcow2's header extensions
NAME_LIMIT = 4096
QED_HAS_BACKING, QED_IS_RAW = 1, 4
DATA_FILE = 4  # qcow2's incompatible feature
CLUSTER_BITS = range(9, 22)
LONGEST_NAME, LARGEST_L1, WIDEST_REFCOUNT = 1023, 32 << 20, 6  # what QEMU opens: bytes, bytes, a power of two
SECTOR = 512  # bytes; QEMU counts in them
PROTOCOL = re.compile(r"[^/]*:")  # "nbd://…", "json:{…}": everything with a colon before the first slash (QEMU)


@frozen
class Backing:
    """What an image says of the one below it: its path or address, and its format ("" when it does not say)."""

    name: str
    form: str = ""


@frozen
class Qcow2:
    """The header of a qcow2 image: `size` in bytes, as a guest sees it; `features` are the incompatible ones.

    `backing` is as it says itself, "" for nothing; so is `data`, the file that has the data in its place. Its table of
    `snapshots` internal snapshots begins at `table`.
    """

    size: int
    backing: str
    backing_format: str
    is_encrypted: bool
    features: int
    snapshots: int
    table: int
    data: str = ""


@frozen
class Chain:
    """How a chain ends: well, or with one of three faults.

    `missing` is a file below `above` that is not there; `unstated` one that has another below it, and whose format
    `above` does not say; `too_long` counts a loop too.
    """

    missing: str = ""
    unstated: str = ""
    above: str = ""
    too_long: bool = False


def follow(paths: Paths, path: str, form: str) -> Chain:
    """Look at every image below `path`, which is there. Raises OSError for a header that cannot be read."""
    for _ in range(LONGEST):
        data, backing = _parts(paths.at(path), form)
        for named in (data, backing.name):
            if (file := _file(path, named)) and not _is_there(paths.at(file)):
                return Chain(missing=file, above=path)
        if not backing.name or PROTOCOL.match(backing.name):
            return Chain()
        below = os.path.join(os.path.dirname(path), backing.name)
        if not backing.form and _has_backing(paths.at(below)):
            return Chain(unstated=below, above=path)
        path, form = below, backing.form
    return Chain(too_long=True)


def _parts(path: str, form: str) -> tuple[str, Backing]:
    """What the image at `path` says of the file with its data, and of the image below it."""
    if form != "qcow2":
        return "", backing_of(path, form) or Backing("")
    header = _read(path, qcow2_header)
    return (header.data, Backing(header.backing, header.backing_format)) if header else ("", Backing(""))


def _file(image: str, name: str) -> str:
    """The path of the file that `image` calls `name`; "" where it is none of this host."""
    if name.startswith("json:"):
        from vfioctl.host.json_names import local_file  # rare

        return local_file(name)
    return os.path.join(os.path.dirname(image), name) if name and not PROTOCOL.match(name) else ""


def _is_there(path: str) -> bool:
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def backing_of(path: str, form: str) -> Backing | None:
    """What the image at `path` of the format `form` says is below it; None for nothing, or for no such image."""
    reader = READERS.get(form)
    return _read(path, reader) if reader else None


def has_data_elsewhere(path: str) -> bool:
    """Whether what is at `path` begins as a qcow2 image that has its data in another file. Raises OSError."""
    found = _read(path, qcow2_header)
    return found is not None and bool(found.features & DATA_FILE)


def plain_size(path: str, form: str) -> int | None:
    """The bytes that a guest sees in the image at `path`, whose format is `form`, where nothing is odd about it.

    None where QEMU is to be asked: an image of another format, one that is encrypted, damaged, has snapshots inside or
    a feature that not every QEMU knows, and what is no image. Raises OSError.
    """
    reader = SIZES.get(form)
    return _read(path, reader) if reader else None


def _read(path: str, reader: Callable[[int], T | None]) -> T | None:
    """What `reader` finds in the file or block device at `path`; None in what is neither."""
    if not _has_header(os.stat(path)):  # before it is opened: some devices act on that
        return None
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return reader(fd) if _has_header(os.fstat(fd)) else None
    except struct.error:  # shorter than its header
        return None
    finally:
        os.close(fd)


def _has_header(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) or stat.S_ISBLK(status.st_mode)


def _has_backing(path: str) -> bool:
    """Whether the image at `path`, of whichever format, is based on another: then libvirt must be told the format."""
    return any(backing_of(path, form) for form in READERS)


def qcow2_header(fd: int) -> Qcow2 | None:
    """The header of the image open at `fd`; None where it has none. Raises struct.error for one that is cut off."""
    if (fields := _qcow2_fields(fd)) is None:
        return None
    (_, _, at, length, bits, size, crypt, _, _, _, _, count, table, features, _, _, _, end) = fields
    end = end or QCOW2_COMMON
    name, form = (_name(fd, at, length), _extension(fd, BACKING_FORMAT, end, at)) if at else ("", "")
    data = _extension(fd, DATA_NAME, end, at or 1 << bits) if features & DATA_FILE else ""
    return Qcow2(size, name, form, bool(crypt), features, count, table, data)


def _qcow2_fields(fd: int) -> tuple[Any, ...] | None:
    """What QCOW2_HEADER has, 0 for what version 2 lacks."""
    head = os.pread(fd, QCOW2_HEADER.size, 0)
    if len(head) < QCOW2_COMMON or not head.startswith(b"QFI\xfb"):
        return None
    version = int.from_bytes(head[4:8], "big")
    if version == 2:  # noqa: PLR2004
        head = head[:QCOW2_COMMON].ljust(QCOW2_HEADER.size, b"\0")
    return QCOW2_HEADER.unpack(head) if version in (2, 3) else None


def _qcow2(fd: int) -> Backing | None:
    found = qcow2_header(fd)
    return Backing(found.backing, found.backing_format) if found and found.backing else None


def _extension(fd: int, wanted: int, place: int, end: int) -> str:
    """The name in the header extension `wanted`; all lie between the header and the backing name, or in its cluster."""
    while place + 8 <= end:
        kind, size = struct.unpack(">II", os.pread(fd, 8, place))
        if kind == 0:
            return ""
        if kind == wanted:
            return _name(fd, place + 8, size)
        place += 8 + (size + 7) // 8 * 8
    return ""


def _qcow1(fd: int) -> Backing | None:
    magic, version, offset, size = struct.unpack_from(">4sIQI", os.pread(fd, QCOW1_HEADER, 0))
    return Backing(_name(fd, offset, size)) if (magic, version) == (b"QFI\xfb", 1) and offset else None


def _qed(fd: int) -> Backing | None:
    header = os.pread(fd, 64, 0)
    magic, features = struct.unpack_from("<4s12xQ", header)
    if magic != b"QED\0" or not features & QED_HAS_BACKING:
        return None
    offset, size = struct.unpack_from("<II", header, 56)
    return Backing(_name(fd, offset, size), "raw" if features & QED_IS_RAW else "")


def _name(fd: int, offset: int, size: int) -> str:
    return os.fsdecode(os.pread(fd, min(size, NAME_LIMIT), offset)).split("\0")[0]


def _raw_size(fd: int) -> int:
    """All that there is, whatever a guest has written to its beginning; QEMU fills up the last sector."""
    return -(-os.lseek(fd, 0, os.SEEK_END) // SECTOR) * SECTOR


def _qcow2_size(fd: int) -> int | None:
    """The conditions are those of qcow2_do_open (QEMU's block/qcow2.c), and stricter ones."""
    if (fields := _qcow2_fields(fd)) is None:
        return None
    (_, version, name_at, name, bits, size, crypt, entries, l1_at, refcounts_at, refcount_clusters, snapshots, _,
     incompatible, _, autoclear, width, length) = fields  # fmt: skip
    if bits not in CLUSTER_BITS or size % SECTOR:
        return None
    if crypt or snapshots or incompatible or autoclear or not refcount_clusters:
        return None
    cluster = 1 << bits
    if version > 2 and not (QCOW2_HEADER.size <= length <= cluster and width <= WIDEST_REFCOUNT):  # noqa: PLR2004
        return None
    if name_at and not (name <= LONGEST_NAME and name_at + name <= cluster):
        return None
    tables = (refcounts_at, l1_at) if entries else (refcounts_at,)
    return size if _are_tables(fd, cluster, tables) and _reaches(entries, cluster) >= size else None


def _are_tables(fd: int, cluster: int, offsets: Iterable[int]) -> bool:
    end = os.lseek(fd, 0, os.SEEK_END)
    return all(0 < offset < end and offset % cluster == 0 for offset in offsets)


def _reaches(entries: int, cluster: int) -> int:
    """How many bytes a first table of so many entries maps: each is a cluster of entries of 8 bytes for a cluster."""
    return entries * cluster * (cluster // 8) if entries <= LARGEST_L1 // 8 else -1


SIZES = {"raw": _raw_size, "qcow2": _qcow2_size}
READERS = {"qcow2": _qcow2, "qcow": _qcow1, "qed": _qed}  # the formats whose chain libvirt follows
