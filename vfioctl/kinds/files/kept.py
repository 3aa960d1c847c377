"""Parts of downloads that outlive their operation, so that the next one goes on with them. Downloads nothing.

One file for each address, in a directory of ours; nobody else's is taken for one, and none stays for long.
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress

from vfioctl import files
from vfioctl.checking import TYPE_CHECKING
from vfioctl.kinds.files.partial import begun, taken_up
from vfioctl.kinds.files.place import Place

if TYPE_CHECKING:
    from vfioctl.paths import Paths

DAYS = 7
SUFFIX = ".part"


class Kept:
    """What has come of `url`, in the file `path`."""

    def __init__(self, paths: Paths, url: str) -> None:
        self.directory = paths.downloads
        self.name = hashlib.sha256(url.encode()).hexdigest()
        self.path = os.path.join(self.directory, f"{self.name}{SUFFIX}")

    def open(self) -> int:
        """A descriptor of it, which is new where there is none that we may go on with. Raises OSError."""
        sweep(self.directory)
        files.make_private_dir(self.directory)
        with Place(self.path) as there:
            return begun(there, there.name, self.name)

    @property
    def size(self) -> int:
        """How many bytes there are."""
        try:
            return os.lstat(self.path).st_size
        except FileNotFoundError:
            return 0

    def drop(self) -> None:
        """Nobody is to go on with it; the directory goes with the last one. Raises OSError."""
        files.remove(self.path)
        _leave(self.directory)


def sweep(directory: str) -> None:
    """Remove the parts that nobody has gone on with for DAYS. Raises OSError."""
    try:
        with os.scandir(directory) as entries:
            old = [entry.path for entry in entries if entry.name.endswith(SUFFIX) and _is_old(entry)]
    except FileNotFoundError:
        return
    for path in old:
        with Place(path) as there:
            _remove(there)
    _leave(directory)


def _remove(there: Place) -> None:
    """Remove a part of ours that nobody has open to write to."""
    fd = taken_up(there, there.name, there.name.removesuffix(SUFFIX))
    if fd is not None:
        there.remove(there.name)
        os.close(fd)


def _is_old(entry: os.DirEntry[str]) -> bool:
    return time.time() - entry.stat(follow_symlinks=False).st_mtime > DAYS * 24 * 3600


def _leave(directory: str) -> None:
    with suppress(OSError):  # others are in it, or it is gone
        os.rmdir(directory)
