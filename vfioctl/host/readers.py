"""Small reads of kernel files: absent, vanished and garbled are values here, not errors. Never writes."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator

ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")

# What sysfs says of a file whose device goes away, has no such attribute, or may not be read by us.
GONE = (
    errno.ENOENT, errno.ENOTDIR, errno.ENODEV, errno.ENXIO, errno.EACCES, errno.EPERM, errno.EINVAL,
    errno.EIO, errno.EISDIR, errno.ESRCH, errno.EOPNOTSUPP,
)  # fmt: skip


def raw(path: str, size: int = 4096) -> bytes | None:
    """The first `size` bytes of the kernel file `path` in one read, or None when it is not to be had."""
    return _read(path, lambda fd: os.read(fd, size))


def table(path: str, size: int) -> bytes | None:
    """The table `path` of /proc up to `size` bytes, or None: one read gives no more than a page (fs/seq_file.c)."""
    return _read(path, lambda fd: b"".join(_pages(fd, size)))


def _pages(fd: int, size: int) -> Iterator[bytes]:
    while size > 0 and (page := os.read(fd, size)):
        size -= len(page)
        yield page


def _read(path: str, read: Callable[[int], bytes]) -> bytes | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in GONE:
            return None
        raise
    try:
        return read(fd)
    except OSError as error:
        if error.errno in GONE:
            return None
        raise
    finally:
        os.close(fd)


def text(path: str) -> str | None:
    """The text of the kernel file `path` without the newline, or None when it is not to be had."""
    data = raw(path)
    return None if data is None else data.decode("utf-8", "replace").strip()


def number(path: str, base: int = 10) -> int | None:
    """The number in the kernel file `path`, or None when there is none. `base` 0 reads 0x…"""
    return parse_number(text(path), base)


def parse_number(word: str | None, base: int = 10) -> int | None:
    """`word` as a number, or None when it is none."""
    try:
        return None if word is None else int(word, base)
    except ValueError:
        return None


def is_numbered(name: str, *stems: str) -> bool:
    """Whether `name` is one of `stems` and a number: "card0"."""
    return name.rstrip("0123456789") in stems and name not in stems


def flag(path: str) -> bool | None:
    """The kernel file `path` as a truth value, or None when it says neither 0 nor 1."""
    return parse_flag(text(path))


def parse_flag(word: str | None) -> bool | None:
    """`word` as a truth value, or None when it is neither 0 nor 1."""
    return {"0": False, "1": True}.get(word or "")


def link_name(path: str) -> str | None:
    """The base name of what the symlink `path` points to, or None when there is no such link."""
    try:
        return os.path.basename(os.readlink(path)) or None
    except OSError as error:
        if error.errno in GONE:
            return None
        raise


def entries(path: str) -> tuple[str, ...]:
    """The sorted names in the directory `path`; none when it is not there."""
    try:
        return tuple(sorted(os.listdir(path)))
    except OSError as error:
        if error.errno in GONE:
            return ()
        raise


def device_place(status: os.stat_result) -> str:
    """Where /sys/dev has the device of a node, "block/8:0" or "char/13:64"; "" for what is no node."""
    kinds = ((stat.S_ISBLK, "block"), (stat.S_ISCHR, "char"))
    kind = next((name for fits, name in kinds if fits(status.st_mode)), "")
    return kind and f"{kind}/{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"


def device_number(path: str) -> tuple[int, int] | None:
    """The (major, minor) in a sysfs `dev` file, or None."""
    major, _, minor = (text(path) or "").partition(":")
    return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else None
