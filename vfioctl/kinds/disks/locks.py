"""Who has a disk image open, by the locks that QEMU takes on it, and the one lock of ours: that nobody writes to it.

QEMU locks single bytes of the file, one for each thing that it does (100 and up) or does not want others to do (200 and
up): RAW_LOCK_PERM_BASE and RAW_LOCK_SHARED_BASE in its block/file-posix.c. The locks go with the process.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager

FIRST, COUNT = 100, 200  # every byte that is locked
WRITES = FIRST + 1  # BLK_PERM_WRITE is bit 1
UNSHARED = WRITES + 100  # locked by who lets nobody else write
LOCK = struct.Struct("hhqqi4x")  # struct flock of a 64-bit Linux: type, whence, start, length, pid


@contextmanager
def seen(path: str) -> Iterator[int]:
    """A descriptor of the image, a file or a block device, to look at; never waited for. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def is_open(fd: int) -> bool:
    """Whether a QEMU or one of its tools has the image open, for reading as well."""
    return _is_locked(fd, FIRST, COUNT)


def is_written(fd: int) -> bool:
    """Whether one of them may write to it."""
    return _is_locked(fd, WRITES, 1)


def keep_writers_out(fd: int) -> None:
    """Let no QEMU open the image to write to it, until `fd` is closed: its guest then does not start.

    Raises OSError where somebody has locked it otherwise. Who has it open already is not seen: `is_written` says that.
    """
    fcntl.fcntl(fd, fcntl.F_OFD_SETLK, LOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, UNSHARED, 1, 0))


def _is_locked(fd: int, start: int, length: int) -> bool:
    asked = LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
    return bool(LOCK.unpack(fcntl.fcntl(fd, fcntl.F_OFD_GETLK, asked))[0] != fcntl.F_UNLCK)
