"""What a function's driver has made and takes with it: virtual functions and mediated devices. Reads only."""

from __future__ import annotations

from collections.abc import Iterable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.frozen import frozen
from vfioctl.host import guests, mediated

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.host.model import DeviceNode

Nodes = dict[str, tuple["DeviceNode", ...]]


@frozen
class Dependent:
    """`name` is a PCI address or a UUID; `users` are the guests or processes that have it open, in words.

    `unseen`: there may be more, in processes that we may not look into.
    """

    kind: str  # virtual or mediated
    name: str
    users: tuple[str, ...]
    unseen: bool = False


def read(host: Host, parent: str, virtual: tuple[str, ...], below: tuple[str, ...]) -> tuple[Dependent, ...]:
    """The functions `virtual` and the mediated devices `below` of the function `parent`, each with its users."""
    nodes: Nodes = {address: tuple(node for node in host.nodes(address) if node.role == "vfio") for address in virtual}
    nodes |= {uuid: mediated.nodes(host.paths, parent, uuid) for uuid in below}
    opened, unseen = _openers(host, nodes)
    named = mediated.named_by(host.paths, below)
    return (
        *(Dependent("virtual", address, _words(opened[address], host), unseen) for address in virtual),
        *(Dependent("mediated", uuid, _words((*opened[uuid], *named[uuid]), host), unseen) for uuid in below),
    )


def _openers(host: Host, nodes: Nodes) -> tuple[dict[str, tuple[int, ...]], bool]:
    """The processes that have one of the nodes of each open, by one pass for all; whether some could not be seen."""
    every = tuple(node for own in nodes.values() for node in own)
    if not every:
        return dict.fromkeys(nodes, ()), False
    found = host.scan(every)
    paths = {name: {node.path for node in own} for name, own in nodes.items()}
    opened = {name: tuple(one.pid for one in found.holders if own & set(one.nodes)) for name, own in paths.items()}
    return opened, bool(found.unseen)


def _words(pids: Iterable[int], host: Host) -> tuple[str, ...]:
    return tuple(dict.fromkeys(guests.describe(host.paths, pid) for pid in pids))
