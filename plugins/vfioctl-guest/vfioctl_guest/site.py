"""What a new guest has to fit in with, read from its node: machines, memory, networks, volumes, who uses what.

Reads only. An ISO of this host is looked at here; one of another node is known by the volume that it is.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from vfioctl.plugin import (
    Finding,
    Refused,
    Severity,
    as_size,
    every_volume,
    find_template,
    frozen,
    keeps_marks,
    place_of,
    read_capabilities,
    read_network,
    read_pages,
    read_pool,
    read_pools,
    replace,
    verify_template,
)
from vfioctl_guest.names import NOTHING_CHANGED
from vfioctl_guest.sources import (
    BLOCK,
    FILE,
    RAW,
    active_pool,
    must_be_for_guests,
    no_iso,
    resolved,
    volume_named,
    who_has,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vfioctl.plugin import Call, Capabilities, Connection, Host, Network, Node, Pages, Volume

QCOW2 = "qcow2"  # the format of disks that are made


@frozen
class Blank:
    """A volume that is to be made: `pool` is a UUID, `size` in bytes; `marked`: its file is here, to bear a mark.

    `below` and its format are the image of the template that it lies above, "" for an empty one. One with a `content`
    is filled with it, and readable by nobody but its owner. `later`: its pool is not active, and is started before.
    """

    pool: str
    name: str
    size: int
    marked: bool
    below: str = ""
    below_format: str = ""
    template: str = ""
    content: bytes = b""
    later: bool = False


@frozen
class Image:
    """What is to be a disk or CD: a file by its path without links, or a device with `block`; who has it by now.

    A `blank` one is made first.
    """

    path: str
    format: str
    users: tuple[str, ...] = ()
    blank: Blank | None = None
    block: bool = False


@frozen
class Site:
    """The node, with the `networks` that were asked for, and its huge `pages` where they were."""

    uri: str
    node: Node
    machines: Capabilities
    networks: tuple[Network, ...] = ()
    pages: tuple[Pages, ...] = ()


def look(connection: Connection, networks: Iterable[str], *, pages: bool = False) -> Site:
    """The node, with its `networks` by name, and its huge `pages`. Raises Refused("network.unknown"), VfioctlError."""
    node = connection.node
    return Site(
        uri=node.uri, node=node, machines=read_capabilities(connection),
        networks=tuple(read_network(connection, name) for name in networks),
        pages=read_pages(connection) if pages else (),
    )  # fmt: skip


def volume_of(call: Call, connection: Connection, word: str) -> Volume:
    """The volume that `word`, POOL/VOLUME, names. Raises Refused: "pool.*", "volume.*", "guest.volume"."""
    found = volume_named(call, connection, word)
    if found.kind not in (FILE, BLOCK):
        said = f"The volume {word} is no file and no device ({found.kind}), and only these become disks here."
        raise Refused("guest.volume", said, state=NOTHING_CHANGED)
    return found


def blank(
    call: Call, connection: Connection, pool_name: str, name: str, size: int, *, starts: bool = False
) -> tuple[Image, Blank]:
    """The volume `name` of `size` bytes that is to be made in a pool, which the plan may be what `starts`.

    Raises Refused: "pool.*", "guest.pool_off", "guest.volume".
    """
    pool = read_pool(connection, pool_name) if starts else active_pool(connection, pool_name)
    must_be_for_guests(pool)
    here = connection.node.is_local
    if not pool.has_files:
        said = f"The volumes of the pool {pool.name} are no files ({pool.kind}), and only files become disks here."
        raise Refused("guest.volume", said, state=NOTHING_CHANGED, hints=("Choose another one with --pool.",))
    place = place_of(connection, call.host().ask, pool)
    seen = here and call.administers and (pool.is_active or pool.is_in_place)
    marked = seen and call.host().ask(place, partial(keeps_marks, place))
    new = Blank(pool.uuid, name, size, marked, later=not pool.is_active)
    return Image(f"{place}/{name}", QCOW2, blank=new), new


def outgrowing(connection: Connection, images: Iterable[Image]) -> Iterator[Finding]:
    """What is said of new disks that may take more room than their pool has: they take it as they are written to."""
    wanted: dict[str, int] = {}
    for new in filter(None, (one.blank for one in images)):
        wanted[new.pool] = wanted.get(new.pool, 0) + new.size
    for pool in read_pools(connection) if wanted else ():
        if pool.is_active and wanted.get(pool.uuid, 0) > pool.available:
            said = f"The new disks may take up to {as_size(wanted[pool.uuid])}; the pool {pool.name} has "
            hint = "A guest whose disk finds no room stands still. Give less with --disk, or make the pool larger."
            yield Finding("guest.outgrows", f"{said}{as_size(pool.available)} left.", Severity.WARN, hint)


def above(connection: Connection, word: str, made: Image, new: Blank) -> Image:
    """The volume `new` of the image `made`, to lie above the template `word`; of 0 bytes it gets as many as that has.

    The template is read whole before. Raises Refused: "template.*", "guest.smaller".
    """
    found = find_template(connection, word)
    data, below = found.usable()
    if new.size and new.size < data.size:
        said = f"The template {found.name} has {as_size(data.size)}; a disk of it cannot have {as_size(new.size)}."
        raise Refused("guest.smaller", said, state=NOTHING_CHANGED, hints=("Give more with --disk, or leave it out.",))
    verify_template(connection, found)
    size = new.size or data.size
    return replace(
        made, blank=replace(new, size=size, below=below.path, below_format=data.format, template=found.name)
    )  # fmt: skip


def filled(
    call: Call, connection: Connection, pool: str, name: str, content: bytes, *, starts: bool = False
) -> Image:
    """The volume `name` with `content` that is to be made in a pool. Raises as `blank` does."""
    made, new = blank(call, connection, pool, name, len(content), starts=starts)
    return replace(made, format=RAW, blank=replace(new, content=content))


def image(call: Call, connection: Connection, volume: Volume) -> Image:
    """The file of `volume`, and who has it: here by whichever name it has, and through images above it.

    A device keeps its name: the number that the name leads to is another one after the next boot.
    """
    block = volume.kind == BLOCK
    path = volume.path if block else resolved(call, connection, volume.path)
    return Image(path, volume.format or RAW, who_has(call, connection, path), block=block)


def iso(call: Call, connection: Connection, path: str) -> Image:
    """The ISO at `path` on the node. Raises Refused("guest.iso"). A CD may be in several guests."""
    if connection.node.is_local:
        return _local_iso(call.host(), path)
    if path not in {one.path for one in every_volume(connection, (path,))}:
        said = f"{connection.node} knows no volume at {path}, and files there are seen in no other way."
        raise Refused("guest.iso", said, state=NOTHING_CHANGED, hints=("Put it into an active pool of that node.",))
    return Image(path, RAW)


def _local_iso(host: Host, path: str) -> Image:
    why = "give it as an absolute path" if not path.startswith("/") else host.ask(path, partial(no_iso, path))
    if why:
        raise Refused("guest.iso", f"{path} cannot be a CD: {why}.", state=NOTHING_CHANGED)
    return Image(host.ask(path, partial(os.path.realpath, path)), RAW)
