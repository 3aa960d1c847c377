"""The plan of a guest's end: first libvirt forgets it, then its files go. Pure.

In this order no guest is left without its disks. A disk that cannot be removed stays and is named: what is gone cannot
be brought back by an undo of the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from vfioctl.plugin import Finding, StepProposal, as_size, content_name, field, frozen

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
    going = () if keep_disks else _going(doomed)
    content = doomed.guest.xml.encode()
    name = content_name(content)
    return Draft(
        tuple(_steps(doomed, going, name)), {name: content}, (), tuple(_lost(doomed, going)),
        tuple(_kept(doomed, going)),
    )  # fmt: skip


def _going(doomed: Doomed) -> tuple[Disk, ...]:
    return tuple(disk for disk in doomed.disks if not disk.keep)


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
        deadline=SHORT,
    )  # fmt: skip
    yield from (_without(doomed, disk) for disk in going)
    for file in doomed.files:
        params = {"path": file.path, "device": file.status.device, "inode": file.status.inode}
        yield _removed("file.delete", file.path, params, file.what)


def _without(doomed: Doomed, disk: Disk) -> StepProposal:
    """It stays where somebody has come to need it since: both kinds look again."""
    about, reason = {"uri": doomed.uri, "domain": doomed.guest.uuid}, f"{disk.target} of {doomed.guest.name}"
    if (volume := disk.volume) is not None:
        params = {"pool": disk.pool, "name": volume.name, "path": volume.path, "size": volume.capacity}
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
    if doomed.snapshots:
        said = f"Guest {guest.name} has {len(doomed.snapshots)} snapshots: {', '.join(doomed.snapshots)}."
        yield _finding("guest.has_snapshots", said, f"Delete them first: vfioctl snapshot prune {name} --keep 0")
    for disk in () if keep_disks else _going(doomed):
        if disk.needed:
            said = f"{disk.path} is needed by {', '.join(disk.needed)}."
            yield _finding("guest.disk_needed", said, "Delete that first, or keep the disks: --keep-disks")


def _lost(doomed: Doomed, going: tuple[Disk, ...]) -> Iterator[str]:
    yield f"Guest {doomed.guest.name} on {doomed.node} is deleted for good:"
    yield from (f"  {disk.target}: {disk.path}, {as_size(disk.used)}" for disk in going)
    for what in _drops(doomed):
        yield f"  nvram: {doomed.nvram}" if what == "nvram" else "  tpm: its state, with every key in it"
    yield from (f"  {file.what}: {file.path}" for file in doomed.files)


def _kept(doomed: Doomed, going: tuple[Disk, ...]) -> Iterator[str]:
    gone = {disk.path for disk in going}
    for disk in doomed.disks:
        if disk.path not in gone:
            yield f"{disk.target}: {disk.path} stays, since {disk.keep or 'its disks are to be kept'}."
    if doomed.nvram and doomed.nvram_users:
        yield f"nvram: {doomed.nvram} stays, since {', '.join(doomed.nvram_users)} has it, too."


def _finding(code: str, message: str, hint: str) -> Finding:
    return Finding(code, message, hint=hint, source="guest")
