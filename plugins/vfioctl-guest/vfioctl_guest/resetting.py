"""What `vfioctl guest reset-system` does: one operation, by which a new system disk comes and the former one goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfioctl.plugin import (
    Message,
    Question,
    Refused,
    Unfinished,
    every_volume,
    guest_disks,
    guest_interfaces,
    read_snapshots,
    read_templates,
    snapshot_records,
    verify_template,
)
from vfioctl_guest.life import Doing, find, must_be_off, perform
from vfioctl_guest.names import NOTHING_CHANGED, file_names, seed_name
from vfioctl_guest.reset import System, draft
from vfioctl_guest.seed.content import files
from vfioctl_guest.seed.given import read
from vfioctl_guest.seed.iso import image
from vfioctl_guest.seed.mark import marked
from vfioctl_guest.site import blank, filled
from vfioctl_guest.sources import resolved, who_has

if TYPE_CHECKING:
    from vfioctl.plugin import Call, Connection, Result
    from vfioctl_guest.life import Subject
    from vfioctl_guest.seed.given import Given
    from vfioctl_guest.site import Image

RESET = "guest.unconfirmed_reset"  # what is asked


def reset(call: Call, name: str, node: str, seed: Given, *, yes: bool, dry_run: bool) -> Result:
    """How it ended for the guest `name`, with what is asked of a new `seed`. Raises Refused."""
    if yes:
        call.agree(RESET)
    with call.connection(node) as connection:
        about = find(call, connection, name)
        _must_be_free(call, connection, about)
        system = _system(call, connection, about)
        verify_template(connection, system.template)
        fresh = _seed(call, connection, about, system, seed)
    made = draft(about, system, fresh)
    lost = f"What is on {system.disk.target} of guest {about.name} will be deleted for good: {system.volume.path}."
    lines = (lost, _of_seed(about, fresh))
    how = Doing("reset-system", dry_run, Question(RESET, lines), contents=made.contents, unfinished=Unfinished.FINISH)
    result = perform(call, about, made.steps, how)
    if dry_run:
        return result.saying(*map(Message, lines))
    said = Message(f"Guest {about.name} starts from the template {system.template.name} again.")
    return result if result.exit_status else result.saying(said)


def _seed(call: Call, connection: Connection, about: Subject, system: System, given: Given) -> Image | None:
    """The new seed beside its system, None where nothing is asked for it. Raises Refused("guest.seed", …)."""
    macs = tuple(one.mac for one in guest_interfaces(about.guest.xml))
    wanted = read(call, given, about.name, cards=len(macs))
    if wanted is None:
        return None
    if there := marked(about.guest.xml):
        said = f"Guest {about.name} still has its seed {there.file}, which its new system reads."
        raise Refused("guest.seed", said, state=NOTHING_CHANGED, hints=("Leave the options of a new one out.",))
    content = image(files(wanted, about.guest.uuid, macs))
    return filled(call, connection, system.volume.pool, seed_name(about.name), content)


def _of_seed(about: Subject, fresh: Image | None) -> str:
    """What the new system will read."""
    if fresh:
        return f"Its new system reads a new seed: {fresh.path}."
    if there := marked(about.guest.xml):
        return f"Its new system reads its seed once more: {there.file}."
    return (f"Guest {about.name} has no seed: its new system has no user, key or address but those of the template. "
            "A new seed is made with --user, --ssh-key and their neighbours.")  # fmt: skip


def _must_be_free(call: Call, connection: Connection, about: Subject) -> None:
    """Raise Refused("guest.running", "guest.saved", "guest.has_snapshots")."""
    must_be_off(about, "its disk is replaced while it is off")
    if names := _snapshots(call, connection, about):
        raise Refused(
            "guest.has_snapshots", f"Guest {about.name} has snapshots, which belong to its disk: {', '.join(names)}.",
            state=NOTHING_CHANGED, hints=(f"Delete them first: vfioctl snapshot prune {about.called} --keep 0",),
        )  # fmt: skip


def _snapshots(call: Call, connection: Connection, about: Subject) -> list[str]:
    """The names of those that libvirt knows, and of those that only this host has written down."""
    ours = snapshot_records(call.host().paths, about.guest.uuid) if about.local else ()
    named = (one.name or f"one that cannot be read ({one.file})" for one in ours)
    return list(dict.fromkeys((*(one.name for one in read_snapshots(connection, about.guest.uuid)), *named)))


def _system(call: Call, connection: Connection, about: Subject) -> System:
    """Its first disk, and the template right below. Raises Refused("guest.no_template", "guest.disk_needed")."""
    volumes = {resolved(call, connection, one.path): one for one in every_volume(connection)}
    templates = {one.image.path: one for one in read_templates(connection) if one.image}
    disk = next((one for one in guest_disks(about.guest.xml) if one.device == "disk" and one.source), None)
    volume = volumes.get(resolved(call, connection, disk.source)) if disk else None
    template = templates.get(volume.backing) if volume else None
    if disk is None or volume is None or template is None:
        raise Refused(
            "guest.no_template", f"The first disk of guest {about.name} lies right above no template.",
            state=NOTHING_CHANGED, hints=("Only a guest that was made with --template has one to go back to.",),
        )  # fmt: skip
    if users := who_has(call, connection, volume.path, but=about.guest.uuid):
        said = f"{volume.path} is needed by {', '.join(users)}."
        raise Refused("guest.disk_needed", said, state=NOTHING_CHANGED, hints=("Delete that first.",))
    taken = {one.name for one in volumes.values() if one.pool == volume.pool}
    file = next(name for name in file_names(about.name) if name not in taken)
    made, new = blank(call, connection, volume.pool, file, volume.capacity)
    return System(disk, volume, template, made.path, new)
