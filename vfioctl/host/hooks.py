"""Which hooks libvirt calls for a QEMU guest. Reads only."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from vfioctl.host.readers import entries
from vfioctl.paths import Paths


def hooks(paths: Paths) -> Iterator[str]:
    """The hooks that libvirt calls for a QEMU guest, in its order: executable files, no directories."""
    directory = os.path.dirname(paths.shim)
    inside = (os.path.join(directory, name) for name in entries(directory))
    for path in (os.path.join(paths.libvirt_hooks, "qemu"), *inside):
        if _is_hook(path):
            yield path


def _is_hook(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) and bool(mode & 0o111)
