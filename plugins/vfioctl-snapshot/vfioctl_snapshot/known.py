"""Every snapshot of a guest, whoever made it: those of our records, those inside its images, those of libvirt. Pure."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator

from vfioctl.plugin import TYPE_CHECKING, replace
from vfioctl_snapshot.domain_xml import MADE
from vfioctl_snapshot.facts import Facts
from vfioctl_snapshot.headers import Internal
from vfioctl_snapshot.names import BEFORE_REVERT
from vfioctl_snapshot.naming import nvram_stem, stamp_of
from vfioctl_snapshot.record import BOOT, EXTERNAL, INTERNAL, Part, Record, Records

if TYPE_CHECKING:
    from vfioctl.plugin import GuestSnapshot


def known(facts: Facts, template: str) -> tuple[Record, ...]:
    """All of them, oldest first; `template`: how the hook names its own. Ours hide libvirt's of the same name."""
    ours = {record.name: record for record in facts.records.readable}
    theirs = {snapshot.name: _of_libvirt(facts, snapshot) for snapshot in facts.libvirt}
    inside = {record.name: record for record in _inside(facts, template)}
    found = {**inside, **{name: _both(record, inside.get(name)) for name, record in theirs.items()}, **ours}
    return tuple(sorted(found.values(), key=lambda record: (record.created, record.name)))


def _both(theirs: Record, inside: Record | None) -> Record:
    """libvirt's record of an internal snapshot, with the images that really hold it."""
    if inside is None or theirs.disks:
        return theirs
    return replace(theirs, disks=inside.disks, nvram=inside.nvram, tpm=inside.tpm)


def _inside(facts: Facts, template: str) -> Iterator[Record]:
    """The internal snapshots, each with the disks that have one of its name."""
    held: dict[str, list[tuple[Part, Internal]]] = {}
    for disk in facts.disks:
        image = facts.images.get(disk.source)
        for one in image.snapshots if image and disk.format == "qcow2" else ():
            held.setdefault(one.name, []).append((Part(disk.target, disk.source, disk.format), one))
    for name, parts in held.items():
        ours = stamp_of(template, name) is not None or name.startswith(BEFORE_REVERT)
        copy, state = f"{nvram_stem(facts.nvram)}.{name}", f"{facts.tpm}.{name}"
        yield Record(
            name=name, uuid=facts.uuid, guest=facts.name, created=min(one.made for _, one in parts),
            disks=tuple(part for part, _ in parts), origin=BOOT if ours else "qemu-img", method=INTERNAL,
            nvram=copy if facts.nvram and copy in facts.files else "", uefi=facts.uefi,
            tpm=state if facts.tpm and state in facts.files else "",
            memory=any(one.has_memory for _, one in parts),
        )  # fmt: skip


def with_unwritten(facts: Facts) -> Records:
    """The records, with the snapshots that vfioctl made from elsewhere: only libvirt has written them down."""
    written = {record.name for record in facts.records.readable}
    theirs = (_of_libvirt(facts, one) for one in facts.libvirt if one.name not in written)
    found = (*facts.records.readable, *(record for record in theirs if record.is_ours))
    return replace(facts.records, readable=tuple(sorted(found, key=lambda record: record.created)))


def _of_libvirt(facts: Facts, snapshot: GuestSnapshot) -> Record:
    ours = snapshot.external and snapshot.description == MADE
    return Record(
        name=snapshot.name, uuid=facts.uuid, guest=facts.name, created=snapshot.created,
        origin="create" if ours else "libvirt",
        disks=() if snapshot.internal else tuple(_parts(snapshot)), uefi=facts.uefi, in_libvirt=True,
        method=INTERNAL if snapshot.internal else EXTERNAL, state=_state(snapshot), memory=snapshot.state == "running",
    )  # fmt: skip


def _state(snapshot: GuestSnapshot) -> str:
    return "off" if snapshot.state in ("shutoff", "off") else "running"


def _parts(snapshot: GuestSnapshot) -> Iterator[Part]:
    """What the guest wrote to when it was made: from then on that is the content of the snapshot."""
    if not snapshot.xml:
        return
    root = ET.fromstring(snapshot.xml)
    made = {
        disk.get("name"): disk.find("source") for disk in root.iterfind("disks/disk")
        if disk.get("snapshot") == "external"
    }  # fmt: skip
    for disk in root.iterfind("domain/devices/disk"):
        target, source, driver = disk.find("target"), disk.find("source"), disk.find("driver")
        name = target.get("dev") if target is not None else None
        if name in made and source is not None and source.get("file"):
            new = made[name]
            overlay = new.get("file") or "" if new is not None else ""
            form = driver.get("type") or "" if driver is not None else ""
            yield Part(name or "", source.get("file") or "", form, overlay)


def mixed(records: tuple[Record, ...]) -> bool:
    """Whether internal and external ones lie side by side, which has cost people their data (virt-manager#811)."""
    return len({record.method for record in records}) > 1
