"""POSIX access control lists without the package acl: what `setfacl -m u:UID:rwX` leaves, as the kernel reads it.

The layout is that of linux/posix_acl_xattr.h: a version, then tag, permissions and id of each entry, sorted by tag.
"""

from __future__ import annotations

import errno
import os
import stat
import struct

import pytest

ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
VERSION = 2
USER_OBJ, USER, GROUP_OBJ, MASK, OTHER = 0x01, 0x02, 0x04, 0x10, 0x20
NO_ID = 0xFFFFFFFF
READ, WRITE, SEARCH = 4, 2, 1


def grant(path: str | os.PathLike[str], uid: int, permissions: int | None = None, *, default: bool = False) -> None:
    """Let `uid` read and write `path`; with `default` what is made in that directory from now on. Skips where no
    access control list is kept."""
    status = os.stat(path)
    search = SEARCH if stat.S_ISDIR(status.st_mode) else 0
    given = (READ | WRITE | search) if permissions is None else permissions
    owner, group, other = (status.st_mode >> shift & 7 for shift in (6, 3, 0))
    entries = ((USER_OBJ, owner, NO_ID), (USER, given, uid), (GROUP_OBJ, group, NO_ID), (MASK, group | given, NO_ID),
               (OTHER, other, NO_ID))  # fmt: skip
    value = struct.pack("<I", VERSION) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(path, DEFAULT if default else ACCESS, value)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        pytest.skip(f"the file system of {path} keeps no access control lists")
