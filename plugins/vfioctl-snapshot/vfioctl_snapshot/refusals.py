"""What speaks against an operation on the snapshots of a guest, each by code, sentence and next step. Pure."""

from __future__ import annotations

import os
from collections.abc import Iterator

from vfioctl.plugin import TYPE_CHECKING, Finding, Node, argument, as_size
from vfioctl_snapshot.facts import OFF, Facts, chain, dependents, missing_parts
from vfioctl_snapshot.record import Record
from vfioctl_snapshot.settings import finding

if TYPE_CHECKING:
    from vfioctl.plugin import GuestDisk

FORMATS = ("qcow2", "raw")
UNREADABLE = "snapshot.unreadable"


def of_state(facts: Facts, verb: str, *, may_run: bool = False) -> Iterator[Finding]:
    """The guest must be off, unless it may run; kept by libvirt; and without a saved memory that beats everything."""
    guest = argument(facts.name)
    if facts.saved:
        said = f"Guest {facts.name} has a saved memory image: its next start would go on with the disks as they are."
        hint = f"Start it with `virsh start {guest}`, or discard that state with `virsh managedsave-remove {guest}`."
        yield finding("snapshot.saved", said, hint=hint)
    elif facts.state != OFF and not (may_run and facts.runs):
        said = f"Guest {facts.name} is {facts.state}; snapshot {verb} needs it off."
        yield finding("snapshot.running", said, hint=f"Shut it down first: virsh shutdown {guest}")
    if not facts.persistent:
        said = f"Guest {facts.name} is transient: libvirt forgets it when it stops, and its disks with it."
        yield finding("snapshot.transient", said, hint="Define it first: virsh define FILE")


def of_disk(facts: Facts, disk: GuestDisk) -> tuple[str, str] | None:
    """The code and the reason why `disk` cannot have an overlay."""
    if disk.kind != "file" or not disk.source:
        return "snapshot.not_here", f"it is no image file on this host (its type is {disk.kind!r})"
    if disk.readonly or disk.shareable or disk.transient:
        return "snapshot.unsuited", "it is read-only, shared or transient"
    if disk.format not in FORMATS:
        return "snapshot.format", f"it is a {disk.format or 'guessed'} image; overlays are made of qcow2 and raw ones"
    if disk.source in facts.others:
        return "snapshot.shared", f"another guest has its image {disk.source} as well, and would go on writing to it"
    return _of_image(facts, disk) if facts.files_seen else None


def _of_image(facts: Facts, disk: GuestDisk) -> tuple[str, str] | None:
    image = facts.images.get(disk.source)
    if image is None:
        return UNREADABLE, f"its image {disk.source} is not there, or cannot be read"
    if disk.format == "qcow2" and image.problem:
        return "snapshot.format", image.problem
    if over := sorted(set(dependents(facts, disk.source)) - facts.family):
        return "snapshot.shared", f"{over[0]} lies over its image, so that it must not be written to"
    if disk.format == "qcow2" and image.snapshots:
        said = f"{disk.source} has {len(image.snapshots)} internal snapshots, and the two kinds must not be mixed"
        return "snapshot.mixed", said
    return None


def of_depth(facts: Facts, disk: GuestDisk, limit: int) -> Iterator[Finding]:
    """One more image may lie over that of `disk`, by what libvirt says of those below."""
    yield from _of_length(facts, disk.target, 1 + len(disk.backing), limit)


def of_chain(facts: Facts, target: str, path: str, form: str, limit: int) -> Iterator[Finding]:
    """One more image may lie over `path`, and each below says its format."""
    images = chain(facts, path, form)
    for image, found in images:
        if found not in FORMATS:
            said = f"{image} below {target} has no stated format, and would have to be guessed."
            yield finding("snapshot.backing", said, hint="State it with: qemu-img rebase -u -F FORMAT -b BACKING IMAGE")
    yield from _of_length(facts, target, len(images), limit)


def _of_length(facts: Facts, target: str, length: int, limit: int) -> Iterator[Finding]:
    if length >= limit:
        said = f"{length} images lie over each other for {target} of guest {facts.name}; no more than {limit} may."
        there = Node(facts.node, facts.uri).there
        first = "Shut it down, then delete" if facts.runs else "Delete"
        hint = f"{first} old snapshots: vfioctl snapshot prune {argument(facts.name)} --keep 10{there}"
        yield finding("snapshot.chain", said, hint=hint)


def of_strayed(facts: Facts, disk: GuestDisk) -> Iterator[Finding]:
    """The guest goes on in the new image after its next start too."""
    if disk.target in facts.strayed:
        said = f"{disk.target} of the running guest {facts.name} is {disk.source}, but not in its configuration."
        hint = f'Restart it, or leave that disk out: {disk.target} = "skip" under [snapshot.disks] in the guest file.'
        yield finding("snapshot.strayed", said, hint=hint)


def of_reach(facts: Facts) -> Iterator[Finding]:
    """The firmware's variables belong to the disks, and are a file that is not seen from here."""
    if facts.nvram:
        said = f"The NVRAM of guest {facts.name} is a file of root's on its node; it cannot be copied from here."
        hint = "Run it there as root, or take the disks alone with --disks-only."
        yield finding("snapshot.out_of_reach", said, hint=hint)


def of_inside(facts: Facts) -> Iterator[Finding]:
    """libvirt knows of none inside an image; what it does not know of is not seen from here."""
    if inside := [one.name for one in facts.libvirt if one.internal]:
        said = f"Guest {facts.name} has internal snapshots, such as {inside[0]!r}; two kinds must not be mixed."
        yield finding("snapshot.mixed", said, hint="Delete those first.")


def of_parts(facts: Facts, record: Record) -> Iterator[Finding]:
    """Everything that belongs to the snapshot is there, and the guest has its disks."""
    for missing in missing_parts(facts, record):
        said = f"Snapshot {record.name!r} of guest {facts.name} is incomplete: {missing} is not there."
        yield finding("snapshot.incomplete", said, hint="Put it back, or delete the snapshot.")
    for part in record.disks:
        if facts.disk(part.target) is None:
            said = f"Guest {facts.name} has no disk {part.target} any more, which snapshot {record.name!r} holds."
            yield finding("snapshot.disk_gone", said, hint=f"Attach {part.image} as {part.target} first.")


def without_nvram(facts: Facts, record: Record, without: str) -> Finding:
    """A disk with the firmware's variables of another time may not boot; `without` is the command line that dares."""
    said = f"Snapshot {record.name!r} of guest {facts.name} has no copy of the NVRAM, so that it may not boot."
    return finding("snapshot.without_nvram", said, hint=f"Only the disks, with the NVRAM as it is now: {without}")


def of_need(facts: Facts, path: str) -> Iterator[Finding]:
    """Nobody but this guest and its snapshots may depend on an image that goes."""
    if path in facts.others:
        said = f"{path} is a disk of another guest, or of one of its snapshots; it is not deleted."
        yield finding("snapshot.needed", said, hint="It is a disk of one of these: virsh list --all")
    for over in sorted(set(dependents(facts, path)) - facts.family):
        said = f"{over} lies over {path} and is lost without it; it is not deleted."
        yield finding("snapshot.needed", said, hint=f"If nobody needs it, remove it first: rm {argument(over)}")


def of_room(facts: Facts, path: str, needed: int) -> Iterator[Finding]:
    """What is merged into `path` fits beside it."""
    directory = os.path.dirname(path)
    there = facts.free.get(directory, 0)
    if needed > there:
        what = f"what is merged into {os.path.basename(path)} may take {as_size(needed)}"
        said = f"{directory} has {as_size(there)} free; {what}."
        yield finding("snapshot.no_room", said, hint="Make room first.")
