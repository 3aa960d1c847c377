"""Templates of disks: a volume, or what a snapshot has kept of one. Only reads."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vfioctl.plugin import (
    Refused,
    argument,
    every_volume,
    guest_disks,
    no_such,
    read_guest,
    read_pool,
    read_pools,
    read_snapshots,
)
from vfioctl_storage.commands.template_origin import Origin, unclear
from vfioctl_storage.commands.volume_create import must_be_at_rest
from vfioctl_storage.commands.volume_work import must_be_active, subject
from vfioctl_storage.names import NOTHING_CHANGED

if TYPE_CHECKING:
    from xml.etree import ElementTree as ET

    from vfioctl.plugin import Call, Connection, Guest, GuestSnapshot, Pool, StepProposal
    from vfioctl_storage.commands.template_room import Room
    from vfioctl_storage.commands.volume_work import Subject


def of_volume(call: Call, connection: Connection, word: str, form: str | None) -> Origin:
    """The volume POOL/VOLUME. Raises Refused("template.origin", "volume.busy", "domain.saved", …)."""
    pool, _, name = word.partition("/")
    if not pool or not name:
        raise unclear(f"{word!r} names no volume; expected POOL/VOLUME", "List them with: vfioctl volume list")
    return _copied(subject(call, connection, must_be_active(read_pool(connection, pool)), name), word, form)


def _copied(from_: Subject, said: str, form: str | None) -> Origin:
    """A whole copy of a volume, with what lies below it, while nobody writes to it."""
    must_be_at_rest(from_, linked=False)
    volume, chosen = from_.volume, form or from_.volume.format

    def steps(room: Room, name: str) -> tuple[StepProposal, ...]:
        return (room.making(
            "volume.clone", name, f"a whole copy of {said}", format=chosen, size=volume.capacity,
            source_pool=from_.pool.uuid, source=volume.name, domains=list(from_.domains),
        ),)  # fmt: skip

    return Origin(said, chosen, volume.capacity, volume.allocation, steps)


def of_snapshot(call: Call, connection: Connection, word: str, disk: str, form: str | None) -> Origin:
    """The image that a disk had at GUEST@SNAPSHOT: the guest went on in another one above it, and may run.

    Raises Refused("template.origin", "template.no_snapshot", "guest.unknown", "volume.outside").
    """
    guest_name, _, name = word.rpartition("@")
    if not guest_name or not name:
        hint = "List them with: vfioctl snapshot list GUEST"
        raise unclear(f"{word!r} names no snapshot; expected GUEST@SNAPSHOT", hint)
    guest = read_guest(connection, guest_name)
    known = {one.name: one for one in read_snapshots(connection, guest.uuid)}
    if name not in known:
        said = f"The guest {guest.name} has no snapshot {name!r}"
        raise no_such("template.no_snapshot", said, name, known, "Its snapshots")
    path = _kept(guest, known[name], disk)
    pool, volume = _volume_at(connection, path)
    return _copied(subject(call, connection, pool, volume), word, form)


def _kept(guest: Guest, snapshot: GuestSnapshot, target: str) -> str:
    """The path of the image of the disk `target`, or of the only one. Raises Refused("template.no_snapshot", …)."""
    if not snapshot.files:
        said = f"The snapshot {snapshot.name} of {guest.name} lies inside its images, or has no disk."
        hint = "Go back to it, then make the template of the volume, with --volume."
        raise Refused("template.no_snapshot", said, state=NOTHING_CHANGED, hints=(hint,))
    targets = dict(snapshot.files)
    if not target and len(targets) > 1:
        raise unclear(f"The snapshot {snapshot.name} has several disks: {', '.join(targets)}", "Give --disk.")
    chosen = target or next(iter(targets))
    if chosen not in targets:
        said = f"The snapshot {snapshot.name} has no disk {chosen!r}"
        raise no_such("template.no_snapshot", said, chosen, targets, "Its disks")
    return next(disk.source for disk in guest_disks(_domain(snapshot)) if disk.target == chosen)


def _domain(snapshot: GuestSnapshot) -> str:
    """The guest as it was: its disks are those that nobody has written to since (formatsnapshot)."""
    from xml.etree import ElementTree as ET

    found: ET.Element | None = ET.fromstring(snapshot.xml).find("domain")
    return ET.tostring(found if found is not None else ET.Element("domain"), encoding="unicode")


def _volume_at(connection: Connection, path: str) -> tuple[Pool, str]:
    """The pool and the name of the volume at `path`. Raises Refused("volume.outside")."""
    found = next((one for one in every_volume(connection) if one.path == path), None)
    pool = next((one for one in read_pools(connection) if found and one.name == found.pool), None)
    if found is None or pool is None:
        said = f"{path} is no volume of an active pool."
        hint = f"Make a pool of its directory: vfioctl pool create NAME --path {argument(os.path.dirname(path))}"
        raise Refused("volume.outside", said, state=NOTHING_CHANGED, hints=(hint,))
    return pool, found.name
