"""The content of one open file into another: shared where the file system can, else its data without its holes."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable

from vfioctl.checking import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

FICLONE = 0x40049409  # _IOW(0x94, 9, int), linux/fs.h
UNSHARED = (errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.ETXTBSY)
CHUNK = 1 << 20


def copy(source: int, dest: int, told: Callable[[int, int], None]) -> None:
    """Make the empty file `dest` the same as `source`; `told` hears of bytes done and in all, and may raise. OSError.

    A file system that shares blocks (btrfs, xfs) is done at once: FICLONE, ioctl_ficlonerange(2).
    """
    told(0, size := os.fstat(source).st_size)
    if not _shared(source, dest):
        for start, end in _data(source, size):
            _copy(source, dest, start, end, lambda done: told(done, size))
        os.ftruncate(dest, size)
    told(size, size)


def _shared(source: int, dest: int) -> bool:
    try:
        fcntl.ioctl(dest, FICLONE, source)
    except OSError as error:
        if error.errno not in UNSHARED:
            raise
        return False
    return True


def _data(source: int, size: int) -> Iterator[tuple[int, int]]:
    """Where data is; a file system that knows no holes says: everywhere (lseek(2))."""
    end = 0
    while end < size:
        try:
            start = os.lseek(source, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return  # nothing but a hole is left
        end = min(os.lseek(source, start, os.SEEK_HOLE), size)
        yield start, end


def _copy(source: int, dest: int, start: int, end: int, told: Callable[[int], None]) -> None:
    while start < end:
        told(start)
        chunk = os.pread(source, min(CHUNK, end - start), start)
        if not chunk:
            return  # it has become shorter
        view, place = memoryview(chunk), start
        while view:
            written = os.pwrite(dest, view, place)
            view, place = view[written:], place + written
        start += len(chunk)
