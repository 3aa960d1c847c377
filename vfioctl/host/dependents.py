"""What a function's driver has made and takes with it: virtual functions and mediated devices. Reads only.

The mediated devices of a virtual function go with it, so who uses one of them uses the virtual function (NVIDIA's vGPU
has its mediated devices below virtual functions).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vfioctl.checking import TYPE_CHECKING
from vfioctl.frozen import frozen
from vfioctl.host import guests, mediated

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.host.model import DeviceNode

GUESTS = ("vfio", "tap", "vdpa")  # roles of the nodes by which a guest has a function
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


def read(host: Host, parent: str, made: Mapping[str, tuple[str, ...]]) -> tuple[Dependent, ...]:
    """What goes with the function `parent`, each with its users.

    `made` are the mediated devices of it and of each of its virtual functions, by their addresses.
    """
    virtual = {address: uuids for address, uuids in made.items() if address != parent}
    nodes: Nodes = {address: _nodes(host, address, uuids) for address, uuids in virtual.items()}
    nodes |= {uuid: mediated.nodes(host.paths, parent, uuid) for uuid in made[parent]}
    opened, unseen = _openers(host, nodes)
    named = mediated.named_by(host.paths, [uuid for uuids in made.values() for uuid in uuids])
    below = virtual | {uuid: (uuid,) for uuid in made[parent]}
    users = {name: (*opened[name], *(pid for uuid in uuids for pid in named[uuid])) for name, uuids in below.items()}
    return tuple(
        Dependent("virtual" if name in virtual else "mediated", name, _words(pids, host), unseen)
        for name, pids in users.items()
    )


def _nodes(host: Host, address: str, uuids: Iterable[str]) -> tuple[DeviceNode, ...]:
    """The nodes by which a guest has the virtual function at `address`, or one of its mediated devices `uuids`."""
    own = (node for node in host.nodes(address) if node.role in GUESTS)
    return (*own, *(node for uuid in uuids for node in mediated.nodes(host.paths, address, uuid)))


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
