"""Who comes to a file: guests as configured, as they run or were saved, snapshots, images above it. Only looks."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator
from functools import partial

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import VfioctlError
from vfioctl.frozen import frozen
from vfioctl.host import images

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from vfioctl.host.snapshot_records import SnapshotRecord
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.virt.connection import Connection
    from vfioctl.virt.uses import Use
    from vfioctl.virt.volumes import Volume


@frozen
class Users:
    """Who comes to an image: `guests` by name, those of them that run or were saved, and the volumes right above it.

    `snapshots` are those that are written down on this host, in words; `unread` are records that could not be read, of
    guests that there are.
    """

    guests: tuple[str, ...] = ()
    running: tuple[str, ...] = ()
    saved: tuple[str, ...] = ()
    above: tuple[str, ...] = ()
    snapshots: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


def users_of(
    connection: Connection, ask: Callable[[str, Callable[[], Any]], Any], path: str, *, but: str = "",
    paths: Paths | None = None,
) -> Users:  # fmt: skip
    """Who comes to the image at `path` on the node of `connection`, through any chain of images.

    The guest with the UUID `but` does not count, nor do its snapshots. `paths` are those of the host, "/" unless given.
    Files of this host are told apart by device and inode, those of another one by their paths. Who comes to a drive
    comes to its partitions and to what is built on it, and the other way round. `ask` looks at files
    (`Host.ask`, `Reach.ask`). Raises VfioctlError.
    """
    from vfioctl.host.snapshot_records import snapshot_records
    from vfioctl.paths import Paths
    from vfioctl.virt.uses import read_uses
    from vfioctl.virt.volumes import every_volume

    every = read_uses(connection)
    uses = [use for use in every if use.uuid != but]
    volumes = every_volume(connection)
    if not connection.node.is_local:
        return _users(uses, volumes, (), {path}, key=str, below=lambda _: "")
    there, of_host = {use.uuid for use in every}, paths or Paths()
    kept = [one if not one.uuid or one.uuid in there else one.of_nobody() for one in snapshot_records(of_host)
            if not but or one.uuid != but]  # fmt: skip

    def look() -> list[list[str]]:
        wanted, key = {_here(of_host, path), *_sharing(of_host, path)}, partial(_here, of_host)
        return [list(part) for part in _users(uses, volumes, kept, wanted, key=key, below=_below).__dict__.values()]

    return Users(*map(tuple, ask(path, look)))


def _users(
    uses: Iterable[Use], volumes: Iterable[Volume], kept: Iterable[SnapshotRecord], wanted: Container[Any], *,
    key: Callable[[str], Any], below: Callable[[str], str],
) -> Users:  # fmt: skip
    """`key` tells whether two paths are of one file, `below` what lies under a file, as far as it can be read."""
    graph = {key(one.path): one.backing for one in volumes if one.backing}
    leads = partial(_leads, wanted=wanted, graph=graph, key=key, below=below)
    found = [use for use in uses if any(map(leads, use.paths))]
    return Users(
        guests=tuple(sorted(use.name for use in found)), running=tuple(sorted(use.name for use in found if use.runs)),
        saved=tuple(sorted(use.name for use in found if use.saved)),
        above=tuple(sorted(one.path for one in volumes if one.backing and key(one.backing) in wanted)),
        snapshots=tuple(one.said for one in kept if any(map(leads, one.files))),
        unread=tuple(one.file for one in kept if one.problem and not one.is_left),
    )  # fmt: skip


def _leads(
    path: str, wanted: Container[Any], graph: Mapping[Any, str], key: Callable[[str], Any],
    below: Callable[[str], str],
) -> bool:  # fmt: skip
    """Whether `path`, or an image below it, is one that is `wanted`."""
    seen: set[Any] = set()
    while path and (here := key(path)) not in seen:
        if here in wanted:
            return True
        seen.add(here)
        path = graph.get(here) or below(path)
    return False


def _here(paths: Paths, path: str) -> Any:
    """What tells a file of this host, or a drive: one that is not there, or not for us to see, by its path."""
    from vfioctl.host.drives import number_at

    return number_at(paths, path) or _identity(path) or path


def _sharing(paths: Paths, path: str) -> frozenset[str]:
    """What tells the devices that share bytes with the one at `path`; nothing for a file."""
    from vfioctl.host.drives import number_at, sharing

    number = number_at(paths, path)
    return sharing(paths, number) if number else frozenset()


def _below(path: str) -> str:
    """The file below the image at `path`; "" where there is none, or it cannot be read."""
    try:
        found = (images.backing_of(path, form) for form in images.READERS)
        backing = next((one for one in found if one and one.name), None)
    except OSError:
        return ""
    if backing is None or images.PROTOCOL.match(backing.name):
        return ""
    return os.path.join(os.path.dirname(path), backing.name)


def way_to(machine: Machine, uri: str, domain: str, path: str) -> str:
    """The path by which a guest at `uri` comes to the file `path`, "" for none; of `domain` its snapshots do not count.

    What is in a snapshot of `domain` is for whoever plans to know: they change those. Raises VfioctlError.
    """
    from vfioctl.virt.uses import other_sources

    named = other_sources(machine.libvirt(uri), domain) | _present(machine, uri, domain)
    return _led(machine, named, path)


def others_way_to(machine: Machine, uri: str, domain: str, path: str) -> str:
    """The same for the guests but `domain`."""
    from vfioctl.virt.uses import other_sources

    return _led(machine, other_sources(machine.libvirt(uri), domain), path)


def _led(machine: Machine, named: Iterable[str], path: str) -> str:
    return machine.reach.ask(path, lambda: _way(sorted(named), path))


def _present(machine: Machine, uri: str, domain: str) -> frozenset[str]:
    """What the configuration of `domain`, and what runs of it, name."""
    from vfioctl.virt.guests import read_guest
    from vfioctl.virt.uses import paths

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
        path = _below(path)


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
