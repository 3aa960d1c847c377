"""What a snapshot has kept of a disk, as a volume: nobody writes to it any more, and its guest may run. Only reads."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vfioctl.plugin import (
    Refused,
    argument,
    guest_disks,
    no_such,
    read_guest,
    read_pools,
    read_snapshots,
    snapshot_records,
    volumes_at,
)
from vfioctl_storage.commands.volume_work import subject
from vfioctl_storage.names import NOTHING_CHANGED

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree import ElementTree as ET

    from vfioctl.plugin import Call, Connection, Guest, GuestSnapshot, Pool
    from vfioctl_storage.commands.volume_work import Subject

UNKNOWN = "volume.no_snapshot"


def disk_at(call: Call, connection: Connection, word: str, disk: str) -> Subject:
    """The image that a disk had at `word`, GUEST@SNAPSHOT: the guest went on in another one above it.

    `disk` is the target of one of several, or "". Raises Refused("volume.no_snapshot", "guest.unknown",
    "volume.outside").
    """
    guest_name, _, name = word.rpartition("@")
    if not guest_name or not name:
        hint = "List them with: vfioctl snapshot list GUEST"
        raise _unclear(f"{word!r} names no snapshot; expected GUEST@SNAPSHOT", hint)
    guest = read_guest(connection, guest_name)
    known = {**_written(call, connection, guest), **_in_libvirt(connection, guest)}
    if name not in known:
        said = f"The guest {guest.name} has no snapshot {name!r}"
        raise no_such(UNKNOWN, said, name, known, "Its snapshots")
    path = _kept(f"The snapshot {name}", known[name], disk)
    pool, volume = _volume_at(call, connection, path)
    return subject(call, connection, pool, volume)


def _unclear(said: str, hint: str) -> Refused:
    return Refused(UNKNOWN, f"{said}.", state=NOTHING_CHANGED, hints=(hint,))


def _in_libvirt(connection: Connection, guest: Guest) -> dict[str, Mapping[str, str]]:
    """The snapshots that libvirt knows, each with the images of its disks by their targets; none lies inside."""
    return {
        one.name: {disk.target: disk.source for disk in guest_disks(_domain(one)) if disk.target in dict(one.files)}
        for one in read_snapshots(connection, guest.uuid)
    }


def _written(call: Call, connection: Connection, guest: Guest) -> dict[str, Mapping[str, str]]:
    """The same of those that are written down on this host: what a revert has kept is nowhere else."""
    found = snapshot_records(call.host().paths, guest.uuid) if connection.node.is_local else ()
    return {one.name: {} if one.internal else dict(one.disks) for one in found if not one.problem}


def _kept(called: str, images: Mapping[str, str], target: str) -> str:
    """The path of the image of the disk `target`, or of the only one. Raises Refused("volume.no_snapshot")."""
    if not images:
        said, hint = f"{called} lies inside its images, or has no disk", "Go back to it, then copy the volume."
        raise _unclear(said, hint)
    if not target and len(images) > 1:
        raise _unclear(f"{called} has several disks: {', '.join(images)}", "Give --disk.")
    chosen = target or next(iter(images))
    if chosen not in images:
        raise no_such(UNKNOWN, f"{called} has no disk {chosen!r}", chosen, images, "Its disks")
    return images[chosen]


def _domain(snapshot: GuestSnapshot) -> str:
    """The guest as it was: its disks are those that nobody has written to since (formatsnapshot)."""
    from xml.etree import ElementTree as ET

    found: ET.Element | None = ET.fromstring(snapshot.xml).find("domain")
    return ET.tostring(found if found is not None else ET.Element("domain"), encoding="unicode")


def _volume_at(call: Call, connection: Connection, path: str) -> tuple[Pool, str]:
    """The pool and the name of the volume at `path`. Raises Refused("volume.outside")."""
    found = volumes_at(connection, call.host().ask, (path,)).get(path)
    pool = next((one for one in read_pools(connection) if found and one.name == found.pool), None)
    if found is None or pool is None:
        said = f"{path} is no volume of an active pool."
        hint = f"Make a pool of its directory: vfioctl pool create NAME --path {argument(os.path.dirname(path))}"
        raise Refused("volume.outside", said, state=NOTHING_CHANGED, hints=(hint,))
    return pool, found.name
