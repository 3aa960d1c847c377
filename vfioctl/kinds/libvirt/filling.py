"""Fills the file of a volume of this host without libvirt, in a child that a hanging drive cannot make us wait for.

libvirtd 11.3 ends by a fault when a file system gets full under its stream, and then nobody is told of the room.
"""

from __future__ import annotations

import errno
import hashlib
import os

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed
from vfioctl.files import open_plain
from vfioctl.kinds.files import sparse
from vfioctl.kinds.files.beside import beside
from vfioctl.kinds.libvirt.transfer import must_have

if TYPE_CHECKING:
    from vfioctl.followed import Say
    from vfioctl.txn.machine import Machine

FULL = (errno.ENOSPC, errno.EDQUOT)


def filled(machine: Machine, source: int, path: str, size: int, deadline: float, *, judged: bool) -> str:
    """The SHA-256 of what `path` has got from the descriptor `source`, "" where that is not to be `judged`.

    It is kept on its disk by then. Raises StepFailed("disk.no_room", "file.write_failed", "volume.changed"),
    Unanswered where nothing is heard of it for `deadline` seconds, and what a checkpoint raises.
    """
    try:
        return beside(machine, path, lambda say: _fill(source, path, size, say, judged=judged), quiet=deadline,
                      keep_fds=(source,))  # fmt: skip
    except OSError as error:
        code = "disk.no_room" if error.errno in FULL else "file.write_failed"
        raise StepFailed(code, f"{path} could not be written: {error.strerror}.") from error


def _fill(source: int, path: str, size: int, say: Say, *, judged: bool) -> str:
    """What libvirt has made there goes first: in its place a hole of `source` would keep it."""
    with open(open_plain(path, os.O_RDWR | os.O_TRUNC, foreign=True), "rb") as made:
        sparse.copy(source, made.fileno(), say)
        must_have(os.fstat(source).st_size, size)
        os.fsync(made.fileno())
        return hashlib.file_digest(made, "sha256").hexdigest() if judged else ""
