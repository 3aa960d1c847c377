"""Counts how often any operation changed its standing since boot: a plan made across such a change is made anew."""

from __future__ import annotations

import os

from vfioctl import files
from vfioctl.paths import Paths


def _path(paths: Paths) -> str:
    return os.path.join(paths.run, "generation")


def bump(paths: Paths) -> None:
    """Count one change. One byte appended, so that no two writers can lose each other's."""
    files.make_private_dir(paths.run)
    fd = files.open_plain(_path(paths), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        files.write_all(fd, b".")
    finally:
        os.close(fd)


def current(paths: Paths) -> int:
    """The count; it only grows until the next boot."""
    try:
        return os.stat(_path(paths)).st_size
    except FileNotFoundError:
        return 0
