"""Which hooks of libvirt are there and executable, and whether a running daemon saw one when it started. Reads only.

libvirtd looks once, at its start, whether there is any hook for qemu; from then on it reads the directory at each call.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from vfioctl.paths import Paths
from vfioctl.setup.daemon import Daemon

CLOCK_SLACK = 0.05  # start times count in ticks of 10 ms


def hooks(paths: Paths) -> Iterator[str]:
    """The hooks that libvirt calls for a QEMU guest, in its order: executable files, no directories."""
    directory = os.path.dirname(paths.shim)
    names = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
    for path in (os.path.join(paths.libvirt_hooks, "qemu"), *(os.path.join(directory, name) for name in names)):
        if _is_hook(path):
            yield path


def daemon_knows_hooks(paths: Paths, daemon: Daemon) -> bool:
    """Whether some hook was there when `daemon` started; true for one that does not run: it will look."""
    if not daemon.pid:
        return True
    return any(_present_since(paths, path) <= daemon.started + CLOCK_SLACK for path in hooks(paths))


def _is_hook(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) and bool(mode & 0o111)


def _present_since(paths: Paths, path: str) -> float:
    """Our own hook keeps the time of its first installation; of another only its last change is known."""
    status = os.stat(path)
    return status.st_mtime if path == paths.shim else status.st_ctime
