"""Puts configuration files in place, one writer at a time: where a link leads, as private as they are.

Knows nothing of what is in them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vfioctl import files

if TYPE_CHECKING:
    from vfioctl.paths import Paths

MODE = 0o644  # `plan` and `config show` work unprivileged
DIRECTORY_MODE = 0o755
PATIENCE = 10.0  # seconds: who has the lock reads and writes one file


@contextmanager
def changing(paths: Paths) -> Iterator[None]:
    """From the reading of a file to the writing of what it is to say nobody else changes one. Raises Busy."""
    lock = files.Lock(f"{paths.locks}/config.lock", "The configuration is being changed")
    lock.acquire(deadline=PATIENCE)
    with lock:
        yield


def write(file: str, text: str) -> None:
    """Make `text` the whole of `file`. Raises OSError with the file as it was.

    A link stays one, to where the administrator keeps the file, as it is read; owner and permissions stay, too.
    """
    make_directory(file)
    target = os.path.realpath(file)
    mode, uid, gid = looks(target)
    files.atomic_write(target, text, mode=mode, owner=(uid, gid))


def make_directory(file: str) -> None:
    """Make the directory of `file`, which everybody may read."""
    files.make_private_dir(os.path.dirname(file), mode=DIRECTORY_MODE)


def looks(file: str) -> tuple[int, int, int]:
    """Permissions, user and group that `file` keeps when it is replaced; -1 for ours. A new one everybody may read."""
    try:
        status = os.stat(file)
    except FileNotFoundError:
        return MODE, -1, -1
    return status.st_mode & 0o777, status.st_uid, status.st_gid
