"""Which daemon runs the guests, since when, and how it is started. Reads only, asks libvirt nothing."""

from __future__ import annotations

import os

from vfioctl.errors import VfioctlError
from vfioctl.frozen import frozen
from vfioctl.host.host import Host
from vfioctl.host.model import Unit
from vfioctl.host.processes import comm, epoch, start_time
from vfioctl.host.readers import entries

NAMES = ("virtqemud", "libvirtd")  # the modular one first: where both are installed it serves qemu:///system
ACTIVE = ("active", "activating", "reloading")
SOCKET, SERVICE = "socket", "service"


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
    return next(iter(running(host)), None) or _active(host)


def start_command(host: Host) -> str:
    """The command that starts the daemon that is installed; a modular one is started by its socket."""
    there = {unit.name for unit in _units(host) if unit.exists}
    if f"{NAMES[0]}.{SOCKET}" in there and f"{NAMES[1]}.{SERVICE}" not in there:
        return f"systemctl enable --now {NAMES[0]}.{SOCKET}"
    return f"systemctl start {NAMES[1]}"


def running(host: Host) -> tuple[Daemon, ...]:
    """The daemons that run and serve qemu:///system, the modular one first."""
    candidates: list[Daemon] = []
    for name in entries(host.paths.proc):  # the tree of a machine that does not run has none
        if name.isdecimal() and (known := _known(comm(host.paths, int(name)))) and _serves(host, int(name)):
            ticks = start_time(host.paths, int(name))
            if ticks is not None:
                candidates.append(Daemon(known, int(name), epoch(ticks)))
    return tuple(sorted(candidates, key=lambda daemon: NAMES.index(daemon.name)))


def _known(command: str) -> str | None:
    return next((name for name in NAMES if command == name), None)


def _serves(host: Host, pid: int) -> bool:
    """Whether it serves qemu:///system and calls our hooks: a session daemon runs as its user."""
    process = os.path.join(host.paths.proc, str(pid))
    try:
        return os.stat(process).st_uid == 0 and _sees_our_hooks(host, process)
    except OSError:
        return False


def _sees_our_hooks(host: Host, process: str) -> bool:
    """Whether the daemon's directory of hooks is ours: in a container, or another mount namespace, it has another one.

    Without root nobody may look below the daemon's root directory (proc(5)); it counts then.
    """
    hooks = host.paths.libvirt_hooks
    try:
        return os.path.samefile(f"{process}/root{hooks}", hooks)
    except PermissionError:
        return True
    except FileNotFoundError:
        return not os.path.isdir(hooks) or not os.path.isdir(f"{process}/root")


def _active(host: Host) -> Daemon | None:
    active = {unit.name.rpartition(".")[0] for unit in _units(host) if unit.active_state in ACTIVE}
    return next((Daemon(name) for name in NAMES if name in active), None)


def _units(host: Host) -> tuple[Unit, ...]:
    """Services and sockets of the daemons; none without systemd, or when it does not answer."""
    if not host.booted_with_systemd():
        return ()
    try:
        return host.units(tuple(f"{name}.{kind}" for name in NAMES for kind in (SERVICE, SOCKET)))
    except VfioctlError:
        return ()
