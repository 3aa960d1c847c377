"""The disks of a guest that are to be copied, as volumes, and what a linked copy may share. Reads only."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vfioctl.plugin import (
    Refused,
    argument,
    every_volume,
    frozen,
    located_disks,
    must_lie_in_pools,
    read_guests,
    read_pools,
    read_snapshots,
)
from vfioctl_guest.clone import Copy
from vfioctl_guest.names import NOTHING_CHANGED, file_names
from vfioctl_guest.past import of_libvirt
from vfioctl_guest.site import blank
from vfioctl_guest.sources import FILE, FORMATS, RAW, resolved

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vfioctl.plugin import Call, Connection, GuestDisk, Volume
    from vfioctl_guest.life import Subject

KINDS = (FILE, "volume")  # of disks that may be volumes of a pool


@frozen
class _Node:
    """What the disks are looked up in: volumes by path, UUIDs of pools by name, who writes to which file."""

    call: Call
    connection: Connection
    volumes: Mapping[str, Volume]
    pools: Mapping[str, str]
    written: Mapping[str, str]


def copies_of(
    call: Call, connection: Connection, about: Subject, new: str, pool: str, *, linked: bool
) -> tuple[Copy, ...]:
    """A copy for each disk that only this guest has. Raises Refused("guest.clone_disk", "guest.linked", "pool.*")."""
    every = located_disks(connection, about.guest.xml)
    paths = [one.source for one in every if one.kind in KINDS]
    node = _Node(
        call, connection, {resolved(call, connection, one.path): one for one in every_volume(connection, paths)},
        {one.name: one.uuid for one in read_pools(connection)}, _written(call, connection) if linked else {},
    )  # fmt: skip
    disks = [one for one in every if one.device == "disk" and not (one.readonly or one.shareable)]
    names = file_names(new)
    return tuple(_copy(node, disk, next(names), pool, linked=linked) for disk in disks)


def _copy(node: _Node, disk: GuestDisk, name: str, pool: str, *, linked: bool) -> Copy:
    volume = node.volumes.get(resolved(node.call, node.connection, disk.source)) if disk.kind in KINDS else None
    if volume is None or volume.kind != FILE:
        raise Refused(
            "guest.clone_disk", f"{disk.target} is on {disk.source}, which is no file of an active pool.",
            state=NOTHING_CHANGED, hints=("Bring it into a pool and refresh that, or detach it first.",),
        )  # fmt: skip
    _must_be_as_declared(disk, volume)
    must_lie_in_pools(node.connection, node.call.host().ask, volume)
    file = name if volume.format == "qcow2" else name.replace(".qcow2", ".raw")
    image, new = blank(node.call, node.connection, pool or volume.pool, file, volume.capacity)
    return Copy(
        disk.target, disk.source, node.pools[volume.pool], volume.name, new.pool, file, image.path, volume.format,
        volume.capacity, new.marked, _below(node, disk, volume, image.path) if linked else "",
    )  # fmt: skip


def _must_be_as_declared(disk: GuestDisk, volume: Volume) -> None:
    """Raise Refused("guest.clone_disk"): the guest may have written the header of an image to its raw disk itself, and
    so chosen what would be read below it."""
    declared = disk.format or RAW
    if declared not in FORMATS:
        said = f"{disk.target} is {declared}, and only {' and '.join(FORMATS)} are copied."
        raise Refused("guest.clone_disk", said, state=NOTHING_CHANGED, hints=("Convert it with qemu-img first.",))
    if volume.format != declared:
        found = volume.format or "something else"
        said = f"{disk.target} is {declared} to the guest, and {disk.source} begins as {found}."
        hints = (f"Look at it with: qemu-img info -f {declared} {argument(disk.source)}", "Or detach it first.")
        raise Refused("guest.clone_disk", said, state=NOTHING_CHANGED, hints=hints)


def _below(node: _Node, disk: GuestDisk, volume: Volume, copy: str) -> str:
    """What a linked copy shares. Raises Refused("guest.linked") where it may change, or there is nothing."""
    whole = ("Leave --linked out: then the disks are whole copies.",)
    if not (volume.backing and volume.backing_format):
        said = f"{disk.target} lies above no template, so there is nothing to be shared."
        raise Refused("guest.linked", said, state=NOTHING_CHANGED, hints=whole)
    if who := node.written.get(resolved(node.call, node.connection, volume.backing), ""):
        said = f"{disk.target} lies above {volume.backing}, which is {who}: it may change below the clone."
        raise Refused("guest.linked", said, state=NOTHING_CHANGED, hints=whole)
    if os.path.dirname(copy) != os.path.dirname(disk.source):
        said = f"{disk.target} is copied as the file that it is, beside {disk.source}, and not into another pool."
        raise Refused("guest.linked", said, state=NOTHING_CHANGED, hints=("Leave --pool out, or --linked.",))
    return volume.backing


def _written(call: Call, connection: Connection) -> dict[str, str]:
    """Every file that is a guest's own disk or an image of its snapshots, with whose it is."""
    guests = read_guests(connection)
    names = {one.uuid: one.name for one in guests}
    images = {
        resolved(call, connection, path): f"of a snapshot of {names.get(one.guest, one.guest)}"
        for one in read_snapshots(connection) for path, _, _ in of_libvirt(one)
    }  # fmt: skip
    return images | {
        resolved(call, connection, disk.source): f"a disk of {guest.name}" for guest in guests
        for disk in located_disks(connection, guest.xml, guest.live_xml)
        if disk.source.startswith("/") and disk.device == "disk" and not disk.readonly
    }  # fmt: skip
