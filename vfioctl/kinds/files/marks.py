"""Who made a file: the mark that each one bears, and what is said of one that bears another. Decides nothing."""

from __future__ import annotations

import errno
import os

from vfioctl.shell import word

MARK = "user.vfioctl.operation"  # an extended attribute of each file: the operation that made it (xattr(7))
UNMARKABLE = (errno.ENOTSUP, errno.ENOSYS)  # the file system keeps no such attributes, e.g. tmpfs before Linux 6.6
LONGEST_NAME = 200  # bytes of the destination's name in the temporary one; a name has at most 255


def mark(fd: int, operation: str) -> None:
    """Say on the file itself who made it, before it has its name: so the mark holds after a crash at any moment."""
    try:
        os.setxattr(fd, MARK, operation.encode())
    except OSError as error:
        if error.errno not in UNMARKABLE:
            raise


def mark_of(file: int | str) -> str | None:
    """The operation that the file says; "" for none, None where the file system keeps no such marks."""
    try:
        link = {} if isinstance(file, int) else {"follow_symlinks": False}
        return os.getxattr(file, MARK, **link).decode(errors="replace")
    except OSError as error:
        return None if error.errno in UNMARKABLE else ""  # ENODATA: it has no mark


def keeps_marks(directory: str) -> bool:
    """Whether the file system of `directory` keeps such marks. Raises OSError where it is not there."""
    try:
        os.getxattr(directory, MARK)
    except OSError as error:
        if error.errno in UNMARKABLE:
            return False
        if error.errno != errno.ENODATA:
            raise
    return True


def temporary_name(name: str, operation: str, suffix: str) -> str:
    """One name for one operation, so that what a crash leaves behind is found again."""
    stem = os.fsdecode(os.fsencode(name)[:LONGEST_NAME])
    return f".{stem}.{operation}{'.' if operation else ''}{suffix}"


def removal(path: str) -> str:
    """How somebody else's file is removed, for a person."""
    return f"If nobody needs it, remove it with: rm -- {word(path)}"
