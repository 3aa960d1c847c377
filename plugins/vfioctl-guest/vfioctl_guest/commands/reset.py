"""`vfioctl guest reset-system`: a guest that is off starts from its template again, with all else that it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.plugin import (
    Message,
    Question,
    Refused,
    Unfinished,
    asking,
    changing,
    every_volume,
    guest_disks,
    guest_names,
    read_snapshots,
    read_templates,
    verify_template,
)
from vfioctl_guest.life import OFF, Doing, find, must_not_be_saved, perform
from vfioctl_guest.names import NOTHING_CHANGED, file_names
from vfioctl_guest.reset import System, draft
from vfioctl_guest.site import blank
from vfioctl_guest.sources import resolved, who_has

if TYPE_CHECKING:
    from vfioctl.plugin import Call, Connection, Result
    from vfioctl_guest.life import Subject

RESET = "guest.unconfirmed_reset"  # what is asked


@click.command("reset-system")
@click.argument("name", shell_complete=guest_names)
@asking
@changing
@click.pass_obj
def reset_system(call: Call, name: str, node: str, *, yes: bool, dry_run: bool) -> Result:
    """Put the system disk of the guest NAME, which is off, back to the template that it was made of.

    It gets a new disk above the template, and the former one is deleted. Name, UUID, MACs, NVRAM, TPM, further disks
    and media stay as they are. A guest with snapshots is refused: `vfioctl snapshot revert` is for those.
    """
    if yes:
        call.agree(RESET)
    with call.connection(node) as connection:
        about = find(call, connection, name)
        _must_be_free(connection, about)
        system = _system(call, connection, about)
        verify_template(connection, system.template)
    made = draft(about, system)
    lost = f"What is on {system.disk.target} of guest {about.name} is deleted for good: {system.volume.path}."
    asked = Question(RESET, (lost,), f"vfioctl guest reset-system {about.called} --yes")
    how = Doing("reset-system", dry_run, asked, contents=made.contents, unfinished=Unfinished.FINISH)
    result = perform(call, about, made.steps, how)
    if dry_run:
        return result.saying(Message(lost))
    said = Message(f"Guest {about.name} starts from the template {system.template.name} again.")
    return result if result.exit_status else result.saying(said)


def _must_be_free(connection: Connection, about: Subject) -> None:
    """Raise Refused("guest.running", "guest.saved", "guest.has_snapshots")."""
    must_not_be_saved(about)
    if about.guest.state != OFF:
        raise Refused(
            "guest.running", f"Guest {about.name} is {about.guest.state}: its disk is replaced while it is off.",
            state=NOTHING_CHANGED, hints=(f"Shut it down with: vfioctl guest stop {about.called}",),
        )  # fmt: skip
    if names := [one.name for one in read_snapshots(connection, about.guest.uuid)]:
        raise Refused(
            "guest.has_snapshots", f"Guest {about.name} has snapshots, which belong to its disk: {', '.join(names)}.",
            state=NOTHING_CHANGED, hints=(f"Delete them first: vfioctl snapshot prune {about.called} --keep 0",),
        )  # fmt: skip


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
    image, new = blank(call, connection, volume.pool, file, volume.capacity)
    return System(disk, volume, template, image.path, new)
