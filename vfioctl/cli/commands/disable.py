"""`vfioctl disable GUEST`: removes the guest file and restores what `enable` changed in the domain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.cli.types import MANAGED, xml_option

if TYPE_CHECKING:
    from vfioctl.cli.app import App
    from vfioctl.cli.commands.enable import Change
    from vfioctl.cli.managed import Before
    from vfioctl.cli.result import Message, Result

UNCHANGED = "no longer known"


@click.command()
@click.argument("guest", type=MANAGED)
@xml_option
@click.pass_obj
def command(app: App, guest: str, xml: str | None) -> Result:
    """Manage a guest no longer.

    Its file is kept aside for the next `enable`, its pinned identities are forgotten, and managed='yes' is restored
    where it was. A guest that runs keeps its card until it stops; the card comes back as it always does.
    """
    from vfioctl.cli import managed
    from vfioctl.cli.facts import must_be_managed
    from vfioctl.cli.result import Result
    from vfioctl.handoff import identity
    from vfioctl.reach import must_answer
    from vfioctl.txn import history

    app.need_trust()
    must_be_managed(app, guest)
    paths = app.composition.paths
    must_answer(paths.guest_config(guest))  # it may be a link to where the administrator keeps it
    before = managed.before(paths, guest)
    change = _restore(app, guest, xml, before)
    _put_aside(app, guest)
    history.settle(paths, guest)
    if before:
        identity.unpin(paths, before.uuid)
        managed.forget(paths, before.uuid)
    data = {"guest": guest, "file": paths.guest_config(guest), "diff": change.diff, "applied": change.applied}
    return Result(data=data, messages=_messages(app, guest, change))


def _restore(app: App, guest: str, xml: str | None, before: Before | None) -> Change:
    """managed='yes' where it was; raises Refused when the domain cannot be read, with nothing touched."""
    from vfioctl.cli import managed
    from vfioctl.cli.commands.enable import Change
    from vfioctl.cli.define import define
    from vfioctl.cli.domains import find

    if before is None or not before.addresses:
        return Change("", applied=False)
    found = find(app, guest, xml)
    wanted = managed.set_managed(found.xml, "yes", before.addresses)
    diff = managed.difference(found.xml, wanted, guest)
    if diff and found.editable:
        define(app, found, wanted)
    return Change(diff, applied=bool(diff) and found.editable)


def _put_aside(app: App, guest: str) -> None:
    """Keep the file for the next `enable`, then remove it."""
    import os

    from vfioctl import files
    from vfioctl.cli.commands.enable import kept_file
    from vfioctl.config.edit import remove_guest

    kept = kept_file(app, guest)
    files.make_private_dir(os.path.dirname(kept))
    files.atomic_write(kept, files.read_text(app.composition.paths.guest_config(guest), follow=True) or "")
    remove_guest(app.composition.paths, guest)


def _messages(app: App, guest: str, change: Change) -> tuple[Message, ...]:
    from vfioctl.cli.commands.enable import by_hand
    from vfioctl.cli.result import Message
    from vfioctl.handoff.markers import uuid_of

    said = []
    if change.diff and not change.applied:
        said.append(by_hand(guest))
    if change.diff:
        text = "Restart the libvirt daemon before the next start: it remembers the old value of managed."
        said.append(Message(text, "warning", "libvirt.restart"))
    if uuid_of(app.composition.paths, guest):
        said.append(Message(f"{guest} still has its devices; they come back when it stops."))
    return tuple(said)
