"""The plan of a guest's end: first libvirt forgets its snapshots and it, then its files go. Pure.

In this order no guest is left without its disks. A disk that cannot be removed stays and is named: what is gone cannot
be brought back by an undo of the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from vfioctl.plugin import Finding, StepProposal, as_size, content_name, field, frozen, replace
from vfioctl_guest.past import from_top

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vfioctl_guest.doomed import Disk, Doomed

SHORT = 30.0  # seconds
OFF, SAVED = "off", "saved"


@frozen
class Draft:
    """`lost` are the lines of what nobody brings back, `kept` those of what stays."""

    steps: tuple[StepProposal, ...] = ()
    contents: Mapping[str, bytes] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    lost: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


def draft(doomed: Doomed, *, keep_disks: bool) -> Draft:
    """The plan; without steps where something speaks against it."""
    findings = tuple(_findings(doomed, keep_disks=keep_disks))
    if findings:
        return Draft(findings=findings)
    going = going_of(doomed, keep_disks=keep_disks)
    content = doomed.guest.xml.encode()
    name = content_name(content)
    records = {one.name: one.xml.encode() for one in doomed.snapshots}
    blobs = {one: content_name(data) for one, data in records.items()}
    return Draft(
        (*_forgotten(doomed, blobs), *_steps(doomed, going, name)),
        {name: content, **{blobs[one]: data for one, data in records.items()}}, (), tuple(_lost(doomed, going)),
        tuple(_kept(doomed, going)),
    )  # fmt: skip


def going_of(doomed: Doomed, *, keep_disks: bool) -> tuple[Disk, ...]:
    """The images that go: where the disks are to be kept, its seed alone."""
    return tuple(disk for disk in doomed.disks if not disk.keep and (disk.seed or not keep_disks))


def _drops(doomed: Doomed) -> list[str]:
    """What libvirt removes with the guest."""
    nvram = ["nvram"] if doomed.nvram and not doomed.nvram_users else []
    return [*nvram, *(["tpm"] if doomed.tpm else [])]


def _steps(doomed: Doomed, going: tuple[Disk, ...], blob: str) -> Iterator[StepProposal]:
    params: dict[str, Any] = {"uri": doomed.uri, "uuid": doomed.guest.uuid, "blob": blob}
    if drop := _drops(doomed):
        params["drop"] = drop
    if doomed.autostart:
        params["autostart"] = True
    yield StepProposal(
        id="guest:undefine", kind="domain.undefine", params=params, reason=f"libvirt forgets {doomed.guest.name}",
        deadline=SHORT, after=tuple(f"guest:forget:{one.name}" for one in doomed.snapshots),
    )  # fmt: skip
    above: tuple[str, ...] = ("guest:undefine",)
    for disk in going:  # what lies above another one first: each step looks who still needs its image
        later = any(disk.path in other.below for other in going)
        yield replace(_without(doomed, disk, later=later), after=above)
        above = (*above, f"guest:remove:{disk.path}")
    for file in doomed.files:
        params = {"path": file.path, "device": file.status.device, "inode": file.status.inode}
        yield _removed("file.delete", file.path, params, file.what)


def _forgotten(doomed: Doomed, blobs: Mapping[str, str]) -> Iterator[StepProposal]:
    """libvirt's snapshots from the end: what lies below one that goes would become another one."""
    parents = {one.name: one.parent for one in doomed.snapshots}
    known = {one.name: one for one in doomed.snapshots}
    before: tuple[str, ...] = ()
    for name in from_top(parents, lambda one: parents.get(one, "")):
        params = {
            "uri": doomed.uri, "uuid": doomed.guest.uuid, "name": name, "current": known[name].current,
            "blob": blobs[name],
        }  # fmt: skip
        yield StepProposal(
            id=f"guest:forget:{name}", kind="snapshot.forget", params=params, deadline=SHORT, after=before,
            reason=f"libvirt forgets the snapshot {name!r}",
        )  # fmt: skip
        before = (*before, f"guest:forget:{name}")


def _without(doomed: Doomed, disk: Disk, *, later: bool) -> StepProposal:
    """It stays where somebody has come to need it since: both kinds look again."""
    about, reason = {"uri": doomed.uri, "domain": doomed.guest.uuid}, f"{disk.called} of {doomed.guest.name}"
    if (volume := disk.volume) is not None:
        params = {"pool": disk.pool, "name": volume.name, "path": volume.path, "size": volume.capacity}
        params |= {"later": True} if later else {}
        return _removed("volume.delete", disk.path, {**about, **params, "changed": volume.changed}, reason)
    device, inode = (disk.status.device, disk.status.inode) if disk.status else (0, 0)
    return _removed("file.delete", disk.path, {**about, "path": disk.path, "device": device, "inode": inode}, reason)


def _removed(kind: str, path: str, params: dict[str, Any], reason: str) -> StepProposal:
    return StepProposal(
        id=f"guest:remove:{path}", kind=kind, params=params, reason=reason, deadline=SHORT, after=("guest:undefine",),
        best_effort=True,
    )  # fmt: skip


def _findings(doomed: Doomed, *, keep_disks: bool) -> Iterator[Finding]:
    guest, name = doomed.guest, doomed.typed
    if guest.state == SAVED or guest.saved:
        said = f"Guest {guest.name} is saved: its memory would be lost."
        yield _finding("guest.saved", said, f"Start it and shut it down, or: vfioctl guest discard-saved {name}")
    elif guest.state != OFF:
        said = f"Guest {guest.name} is {guest.state}; only a guest that is off is deleted."
        yield _finding("guest.runs", said, f"Switch it off first: vfioctl guest stop {name} --force")
    if not guest.persistent:
        yield _finding("guest.transient", f"Guest {guest.name} is gone when it stops.", f"vfioctl guest stop {name}")
    if doomed.snapshots and not doomed.here:
        said = f"Guest {guest.name} has snapshots ({', '.join(doomed.past.names)}), whose images lie on {doomed.node}."
        yield _finding("guest.has_snapshots", said, f"Run it on {doomed.node}, without --node.")
    for disk in going_of(doomed, keep_disks=keep_disks):
        if disk.needed:
            said = f"{disk.path} is needed by {', '.join(disk.needed)}."
            yield _finding("guest.disk_needed", said, "Delete that first, or keep the disks: --keep-disks")


def _lost(doomed: Doomed, going: tuple[Disk, ...]) -> Iterator[str]:
    yield f"Guest {doomed.guest.name} on {doomed.node} will be deleted for good:"
    yield from (f"  {disk.called}: {disk.path}, {as_size(disk.used)}" for disk in going)
    if doomed.past.names:
        yield f"  snapshots: {', '.join(doomed.past.names)}"
    for what in _drops(doomed):
        yield f"  nvram: {doomed.nvram}" if what == "nvram" else "  tpm: its state, with every key in it"
    yield from (f"  {file.what}: {file.path}" for file in doomed.files)


def _kept(doomed: Doomed, going: tuple[Disk, ...]) -> Iterator[str]:
    gone = {disk.path for disk in going}
    for disk in doomed.disks:
        if disk.path not in gone:
            yield f"{disk.called}: {disk.path} stays, since {disk.keep or 'its disks are to be kept'}.{_newest(disk)}"
    if doomed.nvram and doomed.nvram_users:
        yield f"nvram: {doomed.nvram} stays, since {', '.join(doomed.nvram_users)} has it, too."
    yield from (f"{path} stays, since it cannot be read, and so do the images that it names." for path in
                doomed.past.unread)  # fmt: skip


def _newest(disk: Disk) -> str:
    """Of a disk that stays: that its last state is in this file, and what that needs."""
    if disk.keep or disk.snapshot or not disk.below:
        return ""
    return f" Its newest state is there, and needs what is below: {', '.join(disk.below)}."


def _finding(code: str, message: str, hint: str) -> Finding:
    return Finding(code, message, hint=hint, source="guest")
