"""The single steps that the plans are made of, each with its reason. Pure; the order is the plans' to choose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vfioctl.plugin import TYPE_CHECKING, Finding, Phase, StepProposal, content_name, field, frozen, replace

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.plugin import GuestSnapshot
    from vfioctl_snapshot.down import Down, Moved
    from vfioctl_snapshot.facts import File
    from vfioctl_snapshot.headers import Image
    from vfioctl_snapshot.record import Part
    from vfioctl_snapshot.tpm import Held

DAY = 24 * 3600.0  # a long copy is limited by its stall, not by its whole time
STALL = 300.0
SHORT = 30.0
STANDSTILL = 60.0  # longest silence of libvirt about a running guest, whose file systems may stand still


@frozen
class Steps:
    """Steps in the order in which they were added: each one comes after those before it."""

    made: tuple[StepProposal, ...] = ()

    def then(self, *more: StepProposal) -> Steps:
        made = list(self.made)
        for step in more:
            made.append(StepProposal(**{**step.__dict__, "after": tuple(one.id for one in made)}))
        return Steps(tuple(made))


@frozen
class Content:
    """What a step writes; `name` is what the steps call it."""

    name: str
    data: bytes


def content(data: bytes) -> Content:
    return Content(content_name(data), data)


@frozen
class Target:
    """Whose steps they are: the domain and where it is."""

    uri: str
    uuid: str


def overlay(at: Target, part: Part, like: Image, *, live: bool = False) -> StepProposal:
    """An image over `part`, owned as that one; `live`: libvirt changes a running guest over to it."""
    params: dict[str, Any] = {
        "path": part.overlay, "backing": part.image, "backing_format": part.format, "mode": f"0{like.mode & 0o777:o}",
        "owner": like.owner, "group": like.group, "uri": at.uri, "domain": at.uuid,
    }  # fmt: skip
    if live:
        params["live"] = True
    reason = f"{part.target} is written here from now on"
    return _step(f"snapshot:overlay:{part.target}", "disk.overlay", params, reason)


def copy(name: str, source: str, dest: str, reason: str) -> StepProposal:
    return _step(f"snapshot:{name}", "file.copy", {"source": source, "dest": dest}, reason)


def write(path: str, content: Content) -> StepProposal:
    params = {"path": path, "blob": content.name, "size": len(content.data), "mode": "0600"}
    return _step("snapshot:record", "file.write", params, "what belongs to the snapshot is written down")


def put_back(path: str, content: Content, held: Held, reason: str) -> StepProposal:
    """The bytes of a copy in the place of what is there; the directory is the TPM's own user's."""
    params = {
        "path": path, "blob": content.name, "size": len(content.data), "mode": f"0{held.mode & 0o777:o}",
        "uid": held.owner, "gid": held.group, "replace": True, "theirs": True,
    }  # fmt: skip
    return _step("snapshot:tpm", "file.write", params, reason)


def define(at: Target, blob: str, former: str, reason: str) -> StepProposal:
    params = {"uri": at.uri, "uuid": at.uuid, "blob": blob, "former": former}
    return _step("snapshot:domain", "domain.define", params, reason)


def change_over(at: Target, name: str, blob: str, *, quiesce: bool, there: bool) -> StepProposal:
    """All disks of a running guest at once; `there`: a step before has made their images, else libvirt does.

    Its undo merges what was written since, however long that takes.
    """
    params: dict[str, Any] = {"uri": at.uri, "uuid": at.uuid, "name": name, "blob": blob}
    if there:
        params["reuse"] = True
    if quiesce:
        params["quiesce"] = True
    return StepProposal(
        id="snapshot:live", kind="disk.live", params=params, reason="the running guest goes on in the new images",
        phase=Phase.GIVE, deadline=DAY, stall=STANDSTILL,
    )  # fmt: skip


def tell_libvirt(at: Target, name: str, blob: str) -> StepProposal:
    params = {"uri": at.uri, "uuid": at.uuid, "name": name, "blob": blob}
    return _step(f"snapshot:libvirt:{name}", "snapshot.record", params, "virsh snapshot-list shows it as well")


def forget(
    at: Target, snapshot: GuestSnapshot, known: tuple[GuestSnapshot, ...], blob: str, *, for_good: bool = False
) -> StepProposal:
    """`for_good`: whatever becomes of the rest, since that begins with what its images hold."""
    name, children = snapshot.name, [one.name for one in known if one.parent == snapshot.name]
    params: dict[str, Any] = {
        "uri": at.uri, "uuid": at.uuid, "name": name, "blob": blob, "children": children,
        "current": snapshot.current,
    }  # fmt: skip
    if for_good:
        params["for_good"] = True
    return _step(f"snapshot:forget:{name}", "snapshot.forget", params, "libvirt forgets its record; no disk is touched")


def keep_inside(target: str, path: str, name: str) -> StepProposal:
    params = {"backend": "qcow2", "path": path, "name": name}
    return _step(f"snapshot:keep:{target}", "disk.snapshot", params, f"{target} as it is now is kept inside its image")


def go_back(at: Target, target: str, path: str, name: str, kept: str) -> StepProposal:
    params = {"path": path, "name": name, "kept": kept, "domain": at.uuid}
    return _step(f"snapshot:back:{target}", "disk.snapshot_apply", params, f"{target} is as it was at {name!r}")


def take_out(target: str, path: str, name: str) -> StepProposal:
    params = {"backend": "qcow2", "path": path, "name": name}
    return _step(f"snapshot:out:{target}:{name}", "disk.snapshot_delete", params, f"{target} of snapshot {name!r}")


def rebase(at: Target, image: Image, former: tuple[str, str], to: tuple[str, str], reason: str) -> StepProposal:
    params = {
        "path": image.path, "backing": former[0], "backing_format": former[1], "to": to[0], "to_format": to[1],
        "domain": at.uuid,
    }  # fmt: skip
    return StepProposal(
        id=f"snapshot:rebase:{image.path}", kind="disk.rebase", params=params, reason=reason, phase=Phase.GIVE,
        deadline=DAY, stall=STALL,
    )  # fmt: skip


def pull(at: Target, target: str, rebased: StepProposal) -> StepProposal:
    """The same while the guest writes to it: libvirt's own job."""
    params = {**rebased.params, "uri": at.uri, "target": target}
    return StepProposal(**{**rebased.__dict__, "kind": "disk.pull", "params": params})


def commit(at: Target, down: Down) -> StepProposal:
    """What a running guest has open is written into an image below it, by libvirt's own job."""
    params = {
        "path": down.over, "backing": down.top, "backing_format": "qcow2", "to": down.base, "to_format": down.form,
        "domain": at.uuid, "uri": at.uri, "target": down.target,
    }  # fmt: skip
    return StepProposal(
        id=f"snapshot:commit:{down.top}", kind="disk.commit", params=params, phase=Phase.GIVE, deadline=DAY,
        reason=f"{down.target} needs it, and the running guest has it open", stall=STALL,
    )  # fmt: skip


def follow(at: Target, name: str, moved: Moved, gone: Iterable[str]) -> StepProposal:
    """Where nothing has moved a chain with a gap is all that may stay, and no reason to take the others back."""
    params = {
        "uri": at.uri, "uuid": at.uuid, "name": name, "images": {path: to for path, (to, _) in moved.items()},
        "formats": dict(moved.values()), "gone": sorted(gone),
    }  # fmt: skip
    reason = "libvirt's record names what holds it, and nothing that is gone"
    step = _step(f"snapshot:follow:{name}", "snapshot.follow", params, reason)
    return step if moved else replace(step, best_effort=True)


def rewrite(path: str, name: str, content: Content, reason: str, *, there: bool) -> StepProposal:
    """The record of the snapshot `name` for good; `there`: in the place of a former one."""
    params: dict[str, Any] = {
        "path": path, "blob": content.name, "size": len(content.data), "mode": "0600", "for_good": True,
    }  # fmt: skip
    if there:
        params["replace"] = True
    return _step(f"snapshot:record:{name}", "file.write", params, reason)


def delete_written(path: str, content: Content, reason: str) -> StepProposal:
    """The same for a file that a step before this one writes with `content`."""
    return StepProposal(
        id=f"snapshot:delete:{path}", kind="file.delete", params={"path": path, "blob": content.name}, reason=reason,
        phase=Phase.GIVE, deadline=SHORT, best_effort=True,
    )  # fmt: skip


def delete(image: Image | File, reason: str, at: Target | None = None) -> StepProposal:
    """What cannot be deleted stays, and is said: to undo the others would bring back what has lost a part by then.

    With `at` it stays too where a guest has come to need it since the plan.
    """
    params: dict[str, Any] = {"path": image.path, "device": image.device, "inode": image.inode}
    if at:
        params |= {"uri": at.uri, "domain": at.uuid}
    return StepProposal(
        id=f"snapshot:delete:{image.path}", kind="file.delete", params=params, reason=reason, phase=Phase.GIVE,
        deadline=SHORT, best_effort=True,
    )  # fmt: skip


def _step(identifier: str, kind: str, params: Mapping[str, Any], reason: str) -> StepProposal:
    return StepProposal(id=identifier, kind=kind, params=params, reason=reason, phase=Phase.GIVE, deadline=SHORT)


@frozen
class Draft:
    """What an operation on snapshots will do: its steps, their contents, and what the user is told.

    `lost` are the lines of what nobody brings back; where there are any, the user is asked. `shown` is for the data.
    """

    steps: Steps
    contents: tuple[Content, ...] = ()
    findings: tuple[Finding, ...] = ()
    lost: tuple[str, ...] = ()
    shown: Mapping[str, Any] = field(default_factory=dict)
