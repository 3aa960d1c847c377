"""Which guests come to a file: as configured, as they run or were saved, or by an image above it. Only looks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import VfioctlError
from vfioctl.host import images

if TYPE_CHECKING:
    from vfioctl.txn.machine import Machine


def way_to(machine: Machine, uri: str, domain: str, path: str) -> str:
    """The path by which a guest at `uri` comes to the file `path`, "" for none; of `domain` its snapshots do not count.

    What is in a snapshot of `domain` is for whoever plans to know: they change those. Raises VfioctlError.
    """
    from vfioctl.virt.guests import other_sources

    connection = machine.libvirt(uri)
    named = other_sources(connection, domain) | _present(machine, uri, domain)
    return machine.reach.ask(path, lambda: _way(sorted(named), path))


def _present(machine: Machine, uri: str, domain: str) -> frozenset[str]:
    """What the configuration of `domain`, and what runs of it, name."""
    from vfioctl.virt.guests import paths, read_guest

    try:
        guest = read_guest(machine.libvirt(uri), domain)
    except VfioctlError as error:
        if error.code != "guest.unknown":
            raise
        return frozenset()
    return paths(guest.xml) | paths(guest.live_xml)


def _way(named: Iterable[str], path: str) -> str:
    seen: set[tuple[int, int]] = set()
    return next((start for start in named if any(is_same(image, path) for image in _chain(start, seen))), "")


def _chain(path: str, seen: set[tuple[int, int]]) -> Iterator[str]:
    """`path` and what lies below it, whichever format it is in; nothing that is in `seen` already."""
    while (found := _identity(path)) and found not in seen:
        seen.add(found)
        yield path
        below = (images.backing_of(path, form) for form in images.READERS)
        backing = next((one for one in below if one and one.name), None)
        if backing is None or images.PROTOCOL.match(backing.name):
            return
        path = os.path.join(os.path.dirname(path), backing.name)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def is_same(one: str, other: str) -> bool:
    """Whether both lead to one file that is there: it may have several paths."""
    found = _identity(one)
    return found is not None and found == _identity(other)
