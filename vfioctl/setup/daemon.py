"""Which daemon runs the guests, since when, and how it is restarted. Reads only, asks libvirt nothing."""

from __future__ import annotations

import os
import time

from vfioctl.errors import VfioctlError
from vfioctl.frozen import frozen
from vfioctl.host.host import Host
from vfioctl.host.processes import comm, start_time

NAMES = ("virtqemud", "libvirtd")  # the modular one first: where both are installed it serves qemu:///system
ACTIVE = ("active", "activating", "reloading")


@frozen
class Daemon:
    """`started` is in seconds since the epoch; `pid` is 0 when it does not run now."""

    name: str
    pid: int = 0
    started: float = 0.0

    @property
    def restart(self) -> str:
        """The command that makes it look for hooks again; running guests live on."""
        return f"systemctl restart {self.name}"


def find(host: Host) -> Daemon | None:
    """The daemon that runs system guests: the one that runs, else the one whose socket or service is active."""
    return _running(host) or _active(host)


def _running(host: Host) -> Daemon | None:
    candidates: list[Daemon] = []
    for name in os.listdir(host.paths.proc):
        if name.isdecimal() and (known := _known(comm(host.paths, int(name)))) and _is_roots(host, int(name)):
            ticks = start_time(host.paths, int(name))
            if ticks is not None:
                candidates.append(Daemon(known, int(name), _epoch(ticks)))
    return min(candidates, key=lambda daemon: NAMES.index(daemon.name), default=None)


def _known(command: str) -> str | None:
    return next((name for name in NAMES if command == name), None)


def _is_roots(host: Host, pid: int) -> bool:
    """Whether it serves qemu:///system: a session daemon runs as its user."""
    try:
        return os.stat(os.path.join(host.paths.proc, str(pid))).st_uid == 0
    except OSError:
        return False


def _epoch(ticks: int) -> float:
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return booted + ticks / os.sysconf("SC_CLK_TCK")


def _active(host: Host) -> Daemon | None:
    if not host.booted_with_systemd():
        return None
    names = [f"{name}.{kind}" for name in NAMES for kind in ("service", "socket")]
    try:
        units = host.units(tuple(names))
    except VfioctlError:
        return None  # systemd does not answer: the caller says that no daemon was found
    active = {unit.name.rpartition(".")[0] for unit in units if unit.active_state in ACTIVE}
    return next((Daemon(name) for name in NAMES if name in active), None)
