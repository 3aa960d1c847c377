"""Who has the nodes of devices open or mapped: one pass over /proc. Reads only.

Open files are compared by device number through /proc/PID/fd, so that processes with nodes of their own
(containers) are found; a path would miss them. One that vanishes while we look holds nothing.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping

from vfioctl.frozen import frozen
from vfioctl.host import cgroups, processes
from vfioctl.host.model import AUDIO_CLASSES, CARD_CLASSES, DeviceNode, Holder
from vfioctl.host.readers import parse_number, table, text
from vfioctl.paths import Paths

DELETED = " (deleted)"
# Majors of null, tty and pts: most of what is open, and never a node of a device.
COMMON_MAJORS = (1, 5, 136)
GROUP = re.compile(r"/dev/vfio/\d+")  # the file of a group has no mmap (drivers/vfio/group.c); maps cost as much as fd
CGROUP_SIZE = 1 << 16  # a line for each hierarchy of version 1, and a path may have 4096 bytes
CARD_NODES = ("/dev/dri/", "/dev/fb")
AUDIO_NODES = ("/dev/snd/",)


@frozen
class Scan:
    """What one pass found. `unreadable` counts the processes that we may not look into."""

    holders: tuple[Holder, ...]
    unreadable: int


def vanished_nodes(kind: int, nodes: tuple[DeviceNode, ...]) -> tuple[str, ...]:
    """Where the nodes of a function of class `kind` stood that has none now: open files outlive a driver's nodes."""
    roles = {node.role for node in nodes}
    if kind in CARD_CLASSES and "dri" not in roles:
        return CARD_NODES
    return AUDIO_NODES if kind in AUDIO_CLASSES and "snd" not in roles else ()


def scan(paths: Paths, nodes: Iterable[DeviceNode], vanished: tuple[str, ...] = ()) -> Scan:
    """Every process but ours that has one of `nodes` open or mapped, or a deleted node below `vanished`."""
    watch = _Watch.of(nodes, vanished)
    holders, unreadable, own = [], 0, os.getpid()
    for pid in _pids(paths):
        if pid == own:
            continue
        held = _held_by(paths, pid, watch)
        if held is None:
            unreadable += 1
        elif held:
            holder = describe(paths, pid, held)
            holders += [holder] if holder else []
    return Scan(tuple(holders), unreadable)


@frozen
class _Watch:
    """What to look for, by device number and by path."""

    by_number: Mapping[int, DeviceNode]
    by_path: Mapping[str, DeviceNode]
    vanished: tuple[str, ...]
    maps: bool  # whether any of it can be mapped

    @classmethod
    def of(cls, nodes: Iterable[DeviceNode], vanished: tuple[str, ...]) -> _Watch:
        every = tuple(nodes)
        numbers = {os.makedev(*node.rdev): node for node in every}
        mappable = bool(vanished) or not all(GROUP.fullmatch(node.path) for node in every)
        return cls(numbers, {node.path: node for node in every}, vanished, mappable)

    def match(self, link: str, node: DeviceNode | None) -> dict[str, str | None]:
        """What is held when `link` is open or mapped and `node` is the one of that number or name."""
        path = _below_dev(link)
        if path.endswith(DELETED):
            node = node or self.by_path.get(path.removesuffix(DELETED))
            if node or path.startswith(self.vanished):
                return {path: node.address if node else ""}
            return {}
        return {node.path: node.address} if node else {}


def _below_dev(path: str) -> str:
    """`path` from /dev on: a process in another root sees it below that root."""
    return path[max(0, path.rfind("/dev/")) :]


def _pids(paths: Paths) -> list[int]:
    return sorted(int(name) for name in os.listdir(paths.proc) if name.isdecimal())


def _held_by(paths: Paths, pid: int, watch: _Watch) -> dict[str, str | None] | None:
    """Node path → address of what `pid` holds (None: the driver as a whole, "": unknown); None: no access."""
    base = os.path.join(paths.proc, str(pid))
    try:
        held = _opened(base, watch)
        if watch.maps:
            held.update(_mapped(base, watch))
    except PermissionError:
        return None
    except OSError:  # ENOENT, ESRCH, EINVAL: the process ends while we look
        return {}
    return held


def _opened(base: str, watch: _Watch) -> dict[str, str | None]:
    held: dict[str, str | None] = {}
    directory = f"{base}/fd"
    for name in os.listdir(directory):
        link = f"{directory}/{name}"
        try:
            status = os.stat(link)
            if stat.S_ISCHR(status.st_mode) and os.major(status.st_rdev) not in COMMON_MAJORS:
                held.update(watch.match(os.readlink(link), watch.by_number.get(status.st_rdev)))
        except FileNotFoundError:  # closed since
            continue
    return held


def _mapped(base: str, watch: _Watch) -> dict[str, str | None]:
    """Mappings outlive the close of the file, so they are looked at as well."""
    try:
        with open(f"{base}/maps", "rb", buffering=0) as file:
            data = file.readall() or b""
    except FileNotFoundError:
        return {}
    held: dict[str, str | None] = {}
    for line in data.splitlines() if b"/dev/" in data else ():
        if b"/dev/" in line:
            path = _below_dev(line.decode("utf-8", "replace"))
            held.update(watch.match(path, watch.by_path.get(path)))
    return held


def describe(paths: Paths, pid: int, held: Mapping[str, str | None]) -> Holder | None:
    """The process `pid` as a holder; None when it is gone."""
    started = processes.start_time(paths, pid)
    if started is None:
        return None
    base = os.path.join(paths.proc, str(pid))
    owner = cgroups.owner((table(f"{base}/cgroup", CGROUP_SIZE) or b"").decode("utf-8", "replace"))
    return Holder(
        pid=pid,
        start_time=started,
        comm=processes.comm(paths, pid),
        nodes=tuple(sorted(held)),
        addresses=tuple(sorted({address for address in held.values() if address})),
        uid=_uid(base) if owner.user_manager is None else owner.user_manager,
        unit=owner.unit,
        user_unit=owner.user_unit,
        session=owner.session,
        container=owner.container,
        session_uid=owner.session_uid,
    )


def _uid(base: str) -> int:
    """The real user id. The owner of /proc/PID is root's for every process that is not dumpable (proc(5))."""
    for line in (text(f"{base}/status") or "").splitlines():
        if line.startswith("Uid:"):
            return parse_number(line.split("\t")[1]) or 0 if "\t" in line else 0
    return 0
