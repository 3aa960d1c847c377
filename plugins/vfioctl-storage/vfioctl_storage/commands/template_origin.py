"""What a template is made of: a file of this host, a volume, or a disk as a snapshot has kept it. Only reads."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from vfioctl.plugin import (
    Refused,
    argument,
    every_volume,
    frozen,
    guest_disks,
    no_such,
    open_plain,
    read_guest,
    read_pool,
    read_pools,
    read_snapshots,
)
from vfioctl_storage import image
from vfioctl_storage.commands.volume_create import must_be_at_rest
from vfioctl_storage.commands.volume_transfer import checksum
from vfioctl_storage.commands.volume_work import must_be_active, subject
from vfioctl_storage.names import NOTHING_CHANGED

if TYPE_CHECKING:
    from xml.etree import ElementTree as ET

    from vfioctl.plugin import Call, Connection, Guest, GuestSnapshot, Pool, StepProposal
    from vfioctl_storage.commands.template_room import Room
    from vfioctl_storage.commands.volume_work import Subject

WAYS = ("file", "volume", "snapshot")
OF_FILES = ("sha256",)
CHUNK = 1 << 20


@frozen
class Origin:
    """`said` is what it is, for people; `used` about how many bytes it takes; `sha256` that of the image, where it is
    known before the image is made. `steps` make the volume of that name in a room.
    """

    said: str
    format: str
    size: int
    used: int
    steps: Callable[[Room, str], tuple[StepProposal, ...]]
    sha256: str = ""


@frozen
class Asked:
    """How a user says it: one of `file`, `volume` (POOL/VOLUME) and `snapshot` (GUEST@SNAPSHOT), and what goes with it.

    `disk` is the target of one of several disks, `form` the format that the user names, None for none.
    """

    file: str = ""
    volume: str = ""
    snapshot: str = ""
    disk: str = ""
    sha256: str = ""
    form: str | None = None

    def origin(self, call: Call, connection: Connection) -> Origin:
        """What is meant. Raises Refused("template.origin") where that is not said in one way, and what it meets."""
        if len([way for way in WAYS if getattr(self, way)]) != 1:
            raise _unclear("A template is made of one thing", "Give one of --file, --volume and --snapshot.")
        if self.sha256 and not self.file:
            raise _unclear("--sha256 is of a file", "Leave it out: the checksum of a copy is computed.")
        if self.disk and not self.snapshot:
            raise _unclear("--disk is of a snapshot", "Leave it out.")
        if self.file:
            return of_file(call, self.file, self.sha256, self.form)
        if self.volume:
            return _of_volume(call, connection, self.volume, self.form)
        return _of_snapshot(call, connection, self)


def _unclear(said: str, hint: str) -> Refused:
    return Refused("template.origin", f"{said}.", state=NOTHING_CHANGED, hints=(hint,))


def of_file(call: Call, file: str, sha256: str, form: str | None) -> Origin:
    """The image `file`, which is read whole. Raises Refused("volume.source", "volume.checksum")."""
    wanted, path = checksum(sha256), os.path.abspath(file)
    found = image.read(call.host(), path, form)
    seen = _sum(call, path)
    if wanted and wanted != seen:
        said = f"{path} has the sha256 {seen}, not {wanted}."
        raise Refused("volume.checksum", said, state=NOTHING_CHANGED)

    def steps(room: Room, name: str) -> tuple[StepProposal, ...]:
        return (
            room.making("volume.create", name, f"{path} becomes it", format=found.format, size=found.size),
            room.step("volume.upload", name, f"all of {path}", source=path, size=found.length, sha256=seen),
        )

    return Origin(path, found.format, found.size, found.used, steps, seen)


def _sum(call: Call, path: str) -> str:
    """The sha256 of the file, read once."""
    found, fd = hashlib.sha256(), open_plain(call.paths.at(path), follow=True, foreign=True)
    try:
        while data := os.read(fd, CHUNK):
            found.update(data)
    finally:
        os.close(fd)
    return found.hexdigest()


def _of_volume(call: Call, connection: Connection, word: str, form: str | None) -> Origin:
    pool, _, name = word.partition("/")
    if not pool or not name:
        raise _unclear(f"{word!r} names no volume; expected POOL/VOLUME", "List them with: vfioctl volume list")
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


def _of_snapshot(call: Call, connection: Connection, asked: Asked) -> Origin:
    """The image that a disk had at the snapshot: the guest went on in another one above it, and may run."""
    guest_name, _, name = asked.snapshot.rpartition("@")
    if not guest_name or not name:
        hint = "List them with: vfioctl snapshot list GUEST"
        raise _unclear(f"{asked.snapshot!r} names no snapshot; expected GUEST@SNAPSHOT", hint)
    guest = read_guest(connection, guest_name)
    known = {one.name: one for one in read_snapshots(connection, guest.uuid)}
    if name not in known:
        said = f"The guest {guest.name} has no snapshot {name!r}"
        raise no_such("template.no_snapshot", said, name, known, "Its snapshots")
    path = _kept(guest, known[name], asked.disk)
    pool, volume = _volume_at(connection, path)
    return _copied(subject(call, connection, pool, volume), asked.snapshot, asked.form)


def _kept(guest: Guest, snapshot: GuestSnapshot, target: str) -> str:
    """The path of the image of the disk `target`, or of the only one. Raises Refused("template.no_snapshot", …)."""
    if not snapshot.files:
        said = f"The snapshot {snapshot.name} of {guest.name} lies inside its images, or has no disk."
        hint = "Go back to it, then make the template of the volume, with --volume."
        raise Refused("template.no_snapshot", said, state=NOTHING_CHANGED, hints=(hint,))
    targets = dict(snapshot.files)
    if not target and len(targets) > 1:
        raise _unclear(f"The snapshot {snapshot.name} has several disks: {', '.join(targets)}", "Give --disk.")
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
