"""Templates of disks: a volume, or what a snapshot has kept of one. Only reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfioctl.plugin import read_pool
from vfioctl_storage.commands.snapshot_disk import disk_at
from vfioctl_storage.commands.template_origin import Origin, unclear
from vfioctl_storage.commands.volume_copy import must_be_at_rest
from vfioctl_storage.commands.volume_work import must_be_active, must_lie_well, subject

if TYPE_CHECKING:
    from vfioctl.plugin import Call, Connection, StepProposal
    from vfioctl_storage.commands.template_room import Room
    from vfioctl_storage.commands.volume_work import Subject


def of_volume(call: Call, connection: Connection, word: str, form: str | None) -> Origin:
    """The volume POOL/VOLUME. Raises Refused("template.origin", "volume.busy", "domain.saved", …)."""
    pool, _, name = word.partition("/")
    if not pool or not name:
        raise unclear(f"{word!r} names no volume; expected POOL/VOLUME", "List them with: vfioctl volume list")
    from_ = subject(call, connection, must_be_active(connection.node, read_pool(connection, pool)), name)
    return _copied(must_lie_well(call, connection, from_), word, form)


def _copied(from_: Subject, said: str, form: str | None) -> Origin:
    """A whole copy of a volume, with what lies below it, while nobody writes to it."""
    must_be_at_rest(from_, linked=False)
    volume, chosen = from_.volume, form or from_.volume.format

    def steps(room: Room, name: str) -> tuple[StepProposal, ...]:
        return (room.making(
            "volume.clone", name, f"a whole copy of {said}", format=chosen, size=volume.capacity,
            source_pool=from_.pool.uuid, source=volume.name, source_format=volume.format,
            domains=list(from_.domains),
        ),)  # fmt: skip

    return Origin(said, chosen, volume.capacity, volume.allocation, steps)


def of_snapshot(call: Call, connection: Connection, word: str, disk: str, form: str | None) -> Origin:
    """The image that a disk had at GUEST@SNAPSHOT. Raises Refused, as `disk_at` does."""
    return _copied(must_lie_well(call, connection, disk_at(call, connection, word, disk)), word, form)
