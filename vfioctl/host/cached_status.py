"""System calls that Python 3.11 has no function for: a file's type as the kernel has it, and who shares descriptors.

Through ctypes, imported at the first call: in a child, and only for what the plain calls cannot tell.
"""

from __future__ import annotations

import os
import struct
from functools import cache

from vfioctl.checking import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

AT_FDCWD, AT_STATX_DONT_SYNC, STATX_TYPE, STATX_INO = -100, 0x4000, 1, 0x100  # linux/fcntl.h, linux/stat.h
# stx_mode, stx_ino, stx_rdev_major and _minor, stx_dev_major and _minor of struct statx
STATX = struct.Struct("<28xH2xQ88xIIII112x")
KCMP_FILES = 2  # linux/kcmp.h
# The number of kcmp(2); where it is not known, nobody is taken to share.
KCMP = {"x86_64": 312, "aarch64": 272, "riscv64": 272, "loongarch64": 272, "ppc64le": 354, "s390x": 343}


def of(path: str) -> tuple[int, int]:
    """Mode and st_rdev of `path` without a word to its server, as stat(2) has them.

    Raises OSError, and ImportError or AttributeError where Python or the C library has no way to ask.
    """
    mode, _, major, minor, *_ = _asked(path, STATX_TYPE)
    return mode, os.makedev(major, minor)


def file(path: str) -> tuple[int, int]:
    """st_dev and st_ino of `path`, in the same way."""
    _, inode, _, _, major, minor = _asked(path, STATX_INO)
    return os.makedev(major, minor), inode


def _asked(path: str, wanted: int) -> tuple[int, ...]:
    import ctypes

    buffer = ctypes.create_string_buffer(STATX.size)
    if _libc().statx(AT_FDCWD, os.fsencode(path), AT_STATX_DONT_SYNC, wanted, buffer):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)
    return STATX.unpack(buffer.raw)


def share_files(one: int, other: int) -> bool:
    """Whether the tasks `one` and `other` have one table of descriptors; False where nothing tells."""
    number = _kcmp()
    try:
        return number is not None and _libc().syscall(number, one, other, KCMP_FILES, 0, 0) == 0
    except ImportError:
        return False


@cache
def _kcmp() -> int | None:
    return KCMP.get(os.uname().machine)


@cache
def _libc() -> Any:
    import ctypes

    return ctypes.CDLL(None, use_errno=True)
