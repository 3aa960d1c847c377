"""`vfioctl template update`: a further version of a template, beside those that volumes may lie above."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.plugin import asking, changing, find_template, next_version
from vfioctl_storage.commands.template_add import UNCHECKED, About, Draft, of_something, put
from vfioctl_storage.commands.template_asked import Asked
from vfioctl_storage.commands.template_room import room_of

if TYPE_CHECKING:
    from vfioctl.plugin import Call, Result


@click.command()
@click.argument("name")
@of_something
@asking
@changing
@click.pass_obj
def update(
    call: Call, /, name: str, *, form: str | None, node: str, yes: bool, dry_run: bool, **origin: str
) -> Result:
    """Add a version of the template NAME, or POOL/NAME, beside those that there are: NAME@2, NAME@3, and so on.

    What is made of NAME from now on lies above the newest version; what lies above an older one is left as it is.
    NAME@1 is the first. A version that nobody needs any more is removed with `template delete NAME@1`.
    """
    if yes:
        call.agree(UNCHECKED)
    with call.connection(node) as connection:
        newest = find_template(connection, name)
        data, _ = newest.usable()
        room = room_of(call, connection.node, newest.pool)
        about = About(data.os, data.description, data.features, data.tags, data.created)
        draft = Draft("template update", next_version(connection, newest), about)
        found = Asked(**origin, form=form).origin(call, connection)
        room.must_hold(connection, found)
    return put(call, draft, room, found, dry_run=dry_run)
