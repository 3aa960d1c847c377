"""Who has the nodes of devices open or mapped. Reads only.

Open files are compared by device number through /proc/PID/fd, so that processes with nodes of their own
(containers) are found; a path would miss them. One that vanishes while we look holds nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from vfioctl.checking import TYPE_CHECKING
from vfioctl.frozen import frozen
from vfioctl.host import drivers, processes
from vfioctl.host.model import AUDIO_CLASSES, CARD_CLASSES, DeviceNode, Holder
from vfioctl.host.readers import is_numbered, table
from vfioctl.kernel_io import Writer
from vfioctl.paths import Paths

if TYPE_CHECKING:
    from vfioctl.host.descriptors import Found, Unseen, Wanted
    from vfioctl.host.host import Host

GROUP = "/dev/vfio/"  # and a number; the file of a group has no mmap (drivers/vfio/group.c); maps cost as much as fd
CGROUP_SIZE = 1 << 16  # a line for each hierarchy of version 1, and a path may have 4096 bytes
CARD_NODES = ("/dev/dri/", "/dev/fb")
AUDIO_NODES = ("/dev/snd/",)


@frozen
class Scan:
    """What one pass found, and what it could not see: any of that may be a holder too."""

    holders: tuple[Holder, ...] = ()
    unseen: tuple[Unseen, ...] = ()

    @property
    def unreadable(self) -> int:
        """How many processes we may not look into."""
        return sum(one.denied for one in self.unseen)


def vanished_nodes(kind: int, nodes: tuple[DeviceNode, ...]) -> tuple[str, ...]:
    """Where the nodes of a function of class `kind` stood that has none now: open files outlive a driver's nodes."""
    roles = {node.role for node in nodes}
    if kind in CARD_CLASSES and "dri" not in roles:
        return CARD_NODES
    return AUDIO_NODES if kind in AUDIO_CLASSES and "snd" not in roles else ()


def of_functions(host: Host, addresses: tuple[str, ...], shared: frozenset[str]) -> Scan:
    """Who has a node of `addresses`; of those in `shared`, and of all on one driver, also the driver's own nodes."""
    kinds = {address: kind for address in addresses if (kind := host.kind(address)) is not None}
    whole = {address for address in kinds if address in shared or _is_alone(host, address, addresses)}
    watched = [node for address in kinds for node in host.nodes(address) if node.address or address in whole]
    gone = {path for address, kind in kinds.items() for path in vanished_nodes(kind, host.nodes(address))}
    return host.scan(watched, tuple(sorted(gone)))


def _is_alone(host: Host, address: str, addresses: tuple[str, ...]) -> bool:
    """Whether no device besides `addresses` is on its driver: then the nodes of the whole driver are its own."""
    name = host.driver(address)
    return name is not None and set(drivers.addresses_on(host.paths, name)) <= set(addresses)


def scan(
    paths: Paths, nodes: Iterable[DeviceNode], vanished: tuple[str, ...] = (), writer: Writer | None = None
) -> Scan:
    """Every process but ours that has one of `nodes` open or mapped, or a deleted node below `vanished`."""
    every = tuple(nodes)
    if not every and not vanished:
        return Scan()
    from vfioctl.host.descriptors import look  # what has no nodes has no holders

    watch = _Watch.of(every, vanished)
    seen = look(paths, watch.wanted(), writer or Writer())
    held: dict[int, dict[str, str | None]] = {}
    for one in seen.found:
        held.setdefault(one.pid, {}).update(watch.match(one))
    holders = (describe(paths, pid, held[pid]) for pid in sorted(held) if held[pid])
    return Scan(tuple(filter(None, holders)), seen.unseen)


@frozen
class _Watch:
    """What to look for, by device number and by path."""

    by_number: Mapping[int, DeviceNode]
    by_path: Mapping[str, DeviceNode]
    vanished: tuple[str, ...]
    maps: bool  # whether any of it can be mapped

    @classmethod
    def of(cls, nodes: tuple[DeviceNode, ...], vanished: tuple[str, ...]) -> _Watch:
        from vfioctl.host.fd_tables import COMMON_MAJORS

        numbers = {os.makedev(*node.rdev): node for node in nodes if node.rdev[0] not in COMMON_MAJORS}
        mappable = bool(vanished) or not all(is_numbered(node.path, GROUP) for node in nodes)
        return cls(numbers, {node.path: node for node in nodes}, vanished, mappable)

    def wanted(self) -> Wanted:
        from vfioctl.host.descriptors import Wanted

        numbers = frozenset((False, number) for number in self.by_number)
        return Wanted(numbers, frozenset(self.by_path), self.vanished, self.maps)

    def match(self, one: Found) -> dict[str, str | None]:
        """Node path → address (None: the driver as a whole, "": unknown) of what was found."""
        from vfioctl.host.fd_tables import DELETED, below_dev

        path = below_dev(one.path)
        bare = path.removesuffix(DELETED)
        node = self.by_number.get(one.number[1]) if one.number else None
        node = node or self.by_path.get(bare)
        if bare != path:
            return {path: node.address if node else ""}
        return {node.path: node.address} if node else {}


def describe(paths: Paths, pid: int, held: Mapping[str, str | None]) -> Holder | None:
    """The process `pid` as a holder; None when it is gone."""
    started = processes.start_time(paths, pid)
    if started is None:
        return None
    from vfioctl.host import cgroups  # most starts find no holder

    base = os.path.join(paths.proc, str(pid))
    owner = cgroups.owner((table(f"{base}/cgroup", CGROUP_SIZE) or b"").decode("utf-8", "replace"))
    return Holder(
        pid=pid,
        start_time=started,
        comm=processes.comm(paths, pid),
        nodes=tuple(sorted(held)),
        addresses=tuple(sorted({address for address in held.values() if address})),
        uid=next(iter(processes.user_ids(paths, pid)), 0) if owner.user_manager is None else owner.user_manager,
        unit=owner.unit,
        user_unit=owner.user_unit,
        session=owner.session,
        container=owner.container,
        session_uid=owner.session_uid,
    )
