"""The backing chain of a disk image, as libvirt follows it at a start. Reads headers, never data; knows no domain.

Formats: QEMU's docs/interop/qcow2.rst (qcow has its backing name in the same place) and docs/interop/qed_spec.rst.
"""

from __future__ import annotations

import os
import re
import stat
import struct

from vfioctl.frozen import frozen
from vfioctl.paths import Paths

LONGEST = 200  # files; libvirt calls a longer chain "self-referential or too deeply nested"
QCOW2_HEADER = struct.Struct(">4sIQIIQIIQQIIQ")  # what both versions have: 72 bytes
QCOW1_HEADER = 48
BACKING_FORMAT = 0xE2792ACA  # qcow2's header extension
NAME_LIMIT = 4096
QED_HAS_BACKING, QED_IS_RAW = 1, 4
PROTOCOL = re.compile(r"[^/]*:")  # "nbd://…", "json:{…}": everything with a colon before the first slash (QEMU)


@frozen
class Backing:
    """What an image says of the one below it: its path or address, and its format ("" when it does not say)."""

    name: str
    form: str = ""


@frozen
class Qcow2:
    """The header of a qcow2 image: `size` in bytes, as a guest sees it; `features` are the incompatible ones.

    `backing` is as it says itself, "" for nothing. Its table of `snapshots` internal snapshots begins at `table`.
    """

    size: int
    backing: str
    backing_format: str
    is_encrypted: bool
    features: int
    snapshots: int
    table: int


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
        backing = backing_of(paths.at(path), form)
        if backing is None or not backing.name or PROTOCOL.match(backing.name):
            return Chain()
        below = os.path.join(os.path.dirname(path), backing.name)
        try:
            os.stat(paths.at(below))
        except (FileNotFoundError, NotADirectoryError):
            return Chain(missing=below, above=path)
        if not backing.form and _has_backing(paths.at(below)):
            return Chain(unstated=below, above=path)
        path, form = below, backing.form
    return Chain(too_long=True)


def backing_of(path: str, form: str) -> Backing | None:
    """What the image at `path` of the format `form` says is below it; None for nothing, or for no such image."""
    reader = READERS.get(form)
    if reader is None:
        return None
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
    fixed = os.pread(fd, QCOW2_HEADER.size, 0)
    if len(fixed) < QCOW2_HEADER.size:
        return None
    (magic, version, at, length, _, size, crypt, _, _, _, _, count, table) = QCOW2_HEADER.unpack(fixed)
    if magic != b"QFI\xfb" or version not in (2, 3):
        return None
    features, end = (0, QCOW2_HEADER.size) if version == 2 else _of_version_3(fd)  # noqa: PLR2004
    name, form = (_name(fd, at, length), _extension(fd, end, at)) if at else ("", "")
    return Qcow2(size, name, form, bool(crypt), features, count, table)


def _of_version_3(fd: int) -> tuple[int, int]:
    """The incompatible features, and the length of the header."""
    features, _, _, _, length = struct.unpack(">QQQII", os.pread(fd, 32, QCOW2_HEADER.size))
    return features, length


def _qcow2(fd: int) -> Backing | None:
    found = qcow2_header(fd)
    return Backing(found.backing, found.backing_format) if found and found.backing else None


def _extension(fd: int, place: int, end: int) -> str:
    """The backing format among the header extensions, which lie between the header and the backing name."""
    while place + 8 <= end:
        kind, size = struct.unpack(">II", os.pread(fd, 8, place))
        if kind == 0:
            return ""
        if kind == BACKING_FORMAT:
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


READERS = {"qcow2": _qcow2, "qcow": _qcow1, "qed": _qed}  # the formats whose chain libvirt follows
