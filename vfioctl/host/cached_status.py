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

AT_FDCWD, AT_STATX_DONT_SYNC, STATX_TYPE = -100, 0x4000, 1  # linux/fcntl.h, linux/stat.h
STATX = struct.Struct("<28xH98xII120x")  # stx_mode, stx_rdev_major, stx_rdev_minor of struct statx
KCMP_FILES = 2  # linux/kcmp.h
# The number of kcmp(2); where it is not known, nobody is taken to share.
KCMP = {"x86_64": 312, "aarch64": 272, "riscv64": 272, "loongarch64": 272, "ppc64le": 354, "s390x": 343}


def of(path: str) -> tuple[int, int]:
    """Mode and st_rdev of `path` without a word to its server, as stat(2) has them.

    Raises OSError, and ImportError or AttributeError where Python or the C library has no way to ask.
    """
    import ctypes

    buffer = ctypes.create_string_buffer(STATX.size)
    if _libc().statx(AT_FDCWD, os.fsencode(path), AT_STATX_DONT_SYNC, STATX_TYPE, buffer):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)
    mode, major, minor = STATX.unpack(buffer.raw)
    return mode, os.makedev(major, minor)


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
