"""What the verbs about volumes share: the volume that is meant, as data, and who has it. Prints nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import click

from vfioctl.plugin import (
    Finding,
    Refused,
    Severity,
    StepProposal,
    VfioctlError,
    argument,
    as_size,
    every_volume,
    frozen,
    keeps_marks,
    located_disks,
    must_lie_in_pools,
    read_guests,
    read_pool,
    read_uses,
    read_volume,
    templates_pool,
    users_of,
)
from vfioctl_storage.commands.work import PLUGIN, look_anew
from vfioctl_storage.documents import LOGICAL
from vfioctl_storage.names import NOTHING_CHANGED

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.plugin import Call, Connection, Guest, GuestDisk, Host, Node, Pool, Users, Volume

RAW = "raw"
RAWS = (RAW, "")  # what a guest's configuration calls that
FORMATS = click.Choice(("qcow2", RAW))  # what images of ours are kept as
DISKS = ("file", "block")  # libvirt's kinds of volumes that a guest can have
TEMPLATES = "_templates_"  # the directory of the templates below that of a pool
COPYING = 7 * 24 * 3600.0  # seconds: a large volume takes hours, and nothing is given up that goes on


@frozen
class Writer:
    """A running guest that writes to a volume: `target` is the disk that it has it as."""

    uuid: str
    name: str
    target: str


@frozen
class Subject:
    """The volume of a verb, where it is, and who has it. `domains` are the UUIDs of every guest that comes to it."""

    node: Node
    pool: Pool
    volume: Volume
    users: Users
    domains: tuple[str, ...]
    writers: tuple[Writer, ...]
    raw_to: tuple[str, ...]  # the guests that have it as a raw disk, and the volumes above that call it raw
    owners: tuple[str, ...]  # the guests that have it as a disk they may write to, as they run or are configured


@contextmanager
def active_pool(call: Call, word: str, node: str) -> Iterator[tuple[Connection, Pool]]:
    """The pool `word` of `node`, which must be active. Raises Refused("pool.unknown", "pool.inactive")."""
    with call.connection(node) as connection:
        yield connection, must_be_active(connection.node, read_pool(connection, word))


def must_be_active(node: Node, pool: Pool) -> Pool:
    """The pool itself, of `node`. Raises Refused("pool.inactive")."""
    if not pool.is_active:
        raise Refused(
            "pool.inactive", f"The pool {pool.name} is not active.", state=NOTHING_CHANGED,
            hints=(f"Start it with: vfioctl pool start {argument(pool.name)}{node.there}",),
        )  # fmt: skip
    return pool


@contextmanager
def writable_pool(call: Call, word: str, node: str) -> Iterator[tuple[Connection, Pool]]:
    """The same for a verb that writes into it. Raises Refused("volume.used") for one of templates, too."""
    with active_pool(call, word, node) as (connection, pool):
        must_be_for_volumes(pool)
        yield connection, pool


def must_be_for_volumes(pool: Pool) -> None:
    """Raise Refused("volume.used") for a pool of templates: its checksum says what is in it."""
    if pool.name.endswith(templates_pool("")):
        beside = argument(pool.name.removesuffix(templates_pool("")))
        said = f"The pool {pool.name} keeps templates, to which nobody writes."
        hints = (f"Let a volume lie above one: vfioctl volume create {beside} NAME --template TEMPLATE",
                 f"A further one is made with: vfioctl template add NAME --pool {beside}")  # fmt: skip
        raise Refused("volume.used", said, state=NOTHING_CHANGED, hints=hints)


def subject(call: Call, connection: Connection, pool: Pool, name: str, *, any_kind: bool = False) -> Subject:
    """The volume `name` of `pool`, with everybody who has it; one that can be a disk, unless it may be of `any_kind`.

    Raises Refused("volume.unknown", "volume.no_disk").
    """
    volume = read_volume(connection, pool, name)
    if not any_kind and volume.kind not in DISKS:
        raise _no_disk(volume, pool)
    host = call.host()
    users = users_of(connection, host.ask, volume.path, paths=host.paths)
    uuids = {use.name: use.uuid for use in read_uses(connection)}
    guests = [guest for guest in read_guests(connection) if guest.name in users.guests]
    running = [(guest, disk) for guest in guests for disk in _disks(host, connection, guest.live_xml, volume.path)]
    configured = [(guest, disk) for guest in guests for disk in _disks(host, connection, guest.xml, volume.path)]
    disks = [*running, *configured]
    return Subject(
        connection.node, pool, volume, users, tuple(uuids[name] for name in users.guests if name in uuids),
        tuple(Writer(guest.uuid, guest.name, disk.target) for guest, disk in running if _is_written(disk)),
        raw_to=(*_names(one for one in disks if one[1].format in RAWS), *_above(connection, users, volume)),
        owners=_names(one for one in disks if _is_written(one[1])),
    )  # fmt: skip


def _disks(host: Host, connection: Connection, xml: str, path: str) -> Iterator[GuestDisk]:
    """The disks of a guest that are on the volume at `path` itself, and not on one above it."""
    for disk in located_disks(connection, xml):
        if _is_same(host, disk.source, path, local=connection.node.is_local):
            yield disk


def _is_written(disk: GuestDisk) -> bool:
    return disk.device == "disk" and not disk.readonly


def _names(disks: Iterable[tuple[Guest, GuestDisk]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(guest.name for guest, _ in disks))


def _above(connection: Connection, users: Users, volume: Volume) -> tuple[str, ...]:
    """The volumes right above it to which it is raw, as the overlay of a snapshot says it."""
    every = every_volume(connection) if users.above and volume.format != RAW else ()
    return tuple(one.path for one in every if one.path in users.above and one.backing_format == RAW)


def _is_same(host: Host, one: str, other: str, *, local: bool) -> bool:
    def look() -> bool:
        return os.path.samefile(one, other)

    try:
        return one == other or (local and host.ask(host.reach.worst(one, other), look))
    except OSError:
        return False


def must_lie_well(call: Call, connection: Connection, from_: Subject) -> Subject:
    """The volume itself, which is to be read with all that lies below it. Raises Refused("volume.backing", …)."""
    must_lie_in_pools(connection, call.host().ask, from_.volume)
    return from_


def _no_disk(volume: Volume, pool: Pool) -> Refused:
    """libvirt counts each directory of a pool among its volumes."""
    what = "a directory" if volume.kind in ("dir", "netdir") else f"no file and no device ({volume.kind})"
    more = f": the templates of pool {pool.name} are in it" if volume.name == TEMPLATES else ""
    hints = ("See them with: vfioctl template list",) if more else (f"Look into it: ls {argument(volume.path)}",)
    said = f"{volume.path} is {what}, and nothing that a guest could have{more}."
    return Refused("volume.no_disk", said, state=NOTHING_CHANGED, hints=hints)


def outgrowing(connection: Connection, pool: Pool, name: str, count: int) -> tuple[Finding, ...]:
    """What is said of a thin volume that may become `count` bytes larger than it is, which the pool does not have."""
    if count <= (left := _left(connection, pool, count)):
        return ()
    said = f"{name} takes room as it is written to, up to {as_size(count)} more; the pool {pool.name} has "
    hint = "A guest whose disk finds no room stands still. Make the volume smaller, or the pool larger."
    return (Finding("volume.outgrows", f"{said}{as_size(left)} left.", Severity.WARN, hint),)


def must_take(connection: Connection, pool: Pool, name: str, form: str, count: int, *, hint: str) -> None:
    """Raise Refused where a volume group cannot have `name` of `count` bytes: "volume.format" for what is not raw,
    which libvirt would not say to a guest, and "disk.no_room", since it has all of them at once."""
    if pool.kind != LOGICAL:
        return
    if form != RAW:
        said = f"The pool {pool.name} is of a volume group, whose volumes are raw."
        raise Refused("volume.format", said, state=NOTHING_CHANGED, hints=(hint,))
    must_hold(connection, pool, name, count)


def must_hold(connection: Connection, pool: Pool, name: str, count: int) -> None:
    """Raise Refused("disk.no_room") where `count` bytes do not fit."""
    if count > (left := _left(connection, pool, count)):
        said = f"The pool {pool.name} has {as_size(left)} left; {name} takes {as_size(count)}."
        raise Refused("disk.no_room", said, state=NOTHING_CHANGED, hints=("Make room first.",))


def _left(connection: Connection, pool: Pool, count: int) -> int:
    """How many bytes the pool has left. libvirt counts them as it looks for volumes: for `count` it looks once more."""
    if count <= pool.available:
        return pool.available
    with suppress(VfioctlError):  # it refuses while it makes a volume there
        look_anew(connection, pool)
    return read_pool(connection, pool.uuid).available


def is_marked(call: Call, node: Node, pool: Pool) -> bool:
    """Whether what is made in the pool can bear a mark: its directory is here, and ours to write in."""
    try:
        seen = pool.kind != LOGICAL and node.is_local and call.administers
        return seen and call.host().ask(pool.path, lambda: keeps_marks(pool.path))
    except OSError:
        return False


def step(kind: str, node: Node, pool: Pool, name: str, reason: str, **params: Any) -> StepProposal:
    """A step of `kind` about the volume `name` of `pool`."""
    return StepProposal(
        id=f"{PLUGIN}.{kind}", kind=kind, params={"uri": node.uri, "pool": pool.uuid, "name": name, **params},
        reason=reason, deadline=COPYING,
    )  # fmt: skip


def about(node: Node, pool: Pool, name: str) -> str:
    """What an operation on a volume is about, for people."""
    return f"volume:{pool.name}/{name}" if node.is_local else f"volume:{node}/{pool.name}/{name}"


def row(node: Node, volume: Volume) -> dict[str, Any]:
    """The volume as data."""
    return {
        "node": str(node), "pool": volume.pool, "name": volume.name, "path": volume.path, "kind": volume.kind,
        "format": volume.format, "capacity": volume.capacity, "allocation": volume.allocation,
        "backing": volume.backing, "backing_format": volume.backing_format,
    }  # fmt: skip
