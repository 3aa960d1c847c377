"""Whether a running daemon saw a hook when it started. Reads only.

libvirtd looks once, at its start, whether there is any hook for qemu; from then on it reads the directory at each call.
"""

from __future__ import annotations

import os

from vfioctl.host.hooks import hooks
from vfioctl.paths import Paths
from vfioctl.setup.daemon import Daemon

CLOCK_SLACK = 0.05  # start times count in ticks of 10 ms


def daemon_knows_hooks(paths: Paths, daemon: Daemon) -> bool:
    """Whether some hook was there when `daemon` started; true for one that does not run: it will look."""
    if not daemon.pid:
        return True
    return any(_present_since(paths, path) <= daemon.started + CLOCK_SLACK for path in hooks(paths))


def _present_since(paths: Paths, path: str) -> float:
    """Our own hook keeps the time of its first installation; of another only its last change is known."""
    status = os.stat(path)
    return status.st_mtime if path == paths.shim else status.st_ctime
