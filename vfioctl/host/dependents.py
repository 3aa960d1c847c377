"""What a function's driver has made and takes with it: virtual functions and mediated devices. Reads only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from vfioctl.frozen import frozen
from vfioctl.host import guests, mediated
from vfioctl.host.holders import scan

if TYPE_CHECKING:
    from vfioctl.host.host import Host


@frozen
class Dependent:
    """`name` is a PCI address or a UUID; `users` are the guests or processes that have it open, in words."""

    kind: str  # virtual or mediated
    name: str
    users: tuple[str, ...]


def read(host: Host, parent: str, virtual: Iterable[str], below: Iterable[str]) -> tuple[Dependent, ...]:
    """The functions `virtual` and the mediated devices `below` of the function `parent`, each with its users."""
    return (
        *(Dependent("virtual", address, _words(host.vfio_open((address,)), host)) for address in virtual),
        *(Dependent("mediated", uuid, _words(_mediated_users(parent, uuid, host), host)) for uuid in below),
    )


def _mediated_users(parent: str, uuid: str, host: Host) -> tuple[int, ...]:
    nodes = mediated.nodes(host.paths, parent, uuid)
    opened = tuple(holder.pid for holder in scan(host.paths, nodes).holders) if nodes else ()
    return tuple(dict.fromkeys((*opened, *mediated.named_by(host.paths, uuid))))


def _words(pids: tuple[int, ...], host: Host) -> tuple[str, ...]:
    return tuple(dict.fromkeys(guests.describe(host.paths, pid) for pid in pids))
