"""What a file is that is to become a volume: its format by its own header, and what speaks against it. Only reads."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

from vfioctl.plugin import (
    Refused,
    VfioctlError,
    argument,
    frozen,
    open_plain,
    qcow2_header,
    replace,
    users_of_file,
)
from vfioctl_storage.names import NOTHING_CHANGED

if TYPE_CHECKING:
    from vfioctl.plugin import Glance, Host, Qcow2

CORRUPT, DATA_FILE = 2, 4  # incompatible features (docs/interop/qcow2.txt of QEMU)
CHECK = 600.0  # seconds for qemu-img to look at the tables of a large image
DAMAGED = 2  # its status where an image has errors; leaked clusters alone (3) harm nobody
QCOW2 = b"QFI\xfb"
# What other images begin with: as raw they would be of no use to a guest.
OTHERS = (
    (0, b"KDMV", "VMDK"), (0, b"# Disk DescriptorFile", "VMDK"), (0, b"vhdxfile", "VHDX"), (0, b"conectix", "VPC"),
    (0, b"QED\0", "QED"), (0, b"QFI\xfb\0\0\0\1", "qcow of version 1"), (64, b"\x7f\x10\xda\xbe", "VDI"),
    (0, b"\x1f\x8b", "gzip"), (0, b"\xfd7zXZ\0", "xz"), (0, b"\x28\xb5\x2f\xfd", "zstd"),
)  # fmt: skip


@frozen
class Image:
    """A file: `format` is qcow2 or raw; `length` its own bytes, `size` those that a guest sees, `used` on the disk."""

    path: str
    format: str
    length: int
    size: int
    used: int


def read(host: Host, path: str, form: str | None) -> Image:
    """The file at `path`, which must be of the format `form` where that is given. Raises Refused."""
    place = host.paths.at(path)
    try:
        fd = open_plain(place, follow=True, foreign=True)
    except OSError as error:
        raise Refused("volume.source", f"{path} cannot be read: {error.strerror}.", state=NOTHING_CHANGED) from error
    try:
        status, begin = os.fstat(fd), os.pread(fd, 512, 0)
        header = _header(path, fd)
    finally:
        os.close(fd)
    found = _judged(path, form, begin, header, status.st_size)
    if writers := users_of_file(host.paths, host.ask, place, writing=True):
        said = f"{path} is being written to by {', '.join(writers)}."
        raise Refused("disk.busy", said, state=NOTHING_CHANGED, hints=("Wait until it is whole.",))
    if header:
        _must_be_undamaged(host, path)
    return replace(found, used=status.st_blocks * 512)


def begins_as_image(path: str) -> bool:
    """Whether the file at `path` begins as an image of any format does; also one that we may not read."""
    try:
        fd = open_plain(path, follow=True, foreign=True)
    except (OSError, VfioctlError):
        return True
    try:
        begin = os.pread(fd, 512, 0)
    finally:
        os.close(fd)
    return begin.startswith(QCOW2) or bool(_other(begin))


def announced(url: str, seen: Glance, form: str | None) -> Image:
    """What is to come from `url`, by its first bytes. Raises Refused."""
    if not seen.size:
        raise _unfit(url, "its server does not say how large it is", "Download it first, then use --file.")
    fd = os.memfd_create("begin", os.MFD_CLOEXEC)
    try:
        os.write(fd, seen.begin)
        header = _header(url, fd)
    finally:
        os.close(fd)
    return _judged(url, form, seen.begin, header, seen.size)


def _header(path: str, fd: int) -> Qcow2 | None:
    try:
        return qcow2_header(fd)
    except struct.error as error:
        raise _unfit(path, "its header is cut off") from error


def _judged(path: str, form: str | None, begin: bytes, header: Qcow2 | None, length: int) -> Image:
    _must_be(path, form, header, begin)
    if not length:
        raise _unfit(path, "it is empty")
    if header:
        _must_be_whole(path, header)
    return Image(path, "qcow2" if header else "raw", length, header.size if header else length, length)


def _must_be(path: str, form: str | None, header: Qcow2 | None, begin: bytes) -> None:
    """A raw image that looks like qcow2 would be taken for that: whoever wrote it chooses what lies below it then."""
    found = "qcow2" if header else "raw"
    other = _other(begin)
    if other and not header:
        hint = f"Unpack it, or convert it: qemu-img convert -O qcow2 {argument(path)} NEW"
        raise _unfit(path, f"it is {other}, not qcow2 or raw", hint)
    if form and form != found:
        raise _unfit(path, f"it is {found} by its header, not {form}", "Leave --image-format out.")


def _other(begin: bytes) -> str:
    return next((name for at, magic, name in OTHERS if begin[at : at + len(magic)] == magic), "")


def _must_be_whole(path: str, header: Qcow2) -> None:
    if header.backing:
        hint = f"Make it whole: qemu-img convert -O qcow2 {argument(path)} NEW"
        raise _unfit(path, f"it lies above {header.backing}, which does not come with it", hint)
    if header.is_encrypted:
        raise _unfit(path, "it is encrypted")
    if header.features & DATA_FILE:
        raise _unfit(path, "its data lie in another file")
    if header.features & CORRUPT:
        raise _unfit(path, "it is marked as corrupt", f"See: qemu-img check {argument(path)}")


def _must_be_undamaged(host: Host, path: str) -> None:
    try:
        checked = host.shown(("qemu-img", "check", "-q", "-f", "qcow2", "--", host.paths.at(path)), deadline=CHECK)
    except VfioctlError:
        return  # no qemu-img here: what libvirt makes of it is seen at the other end
    if checked.returncode == DAMAGED:
        raise _unfit(path, "it is damaged or cut off", f"See: qemu-img check {argument(path)}")


def _unfit(path: str, why: str, *hints: str) -> Refused:
    return Refused("volume.source", f"{path} becomes no volume: {why}.", state=NOTHING_CHANGED, hints=hints)
