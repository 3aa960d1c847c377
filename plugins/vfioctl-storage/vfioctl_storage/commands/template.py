"""`vfioctl template list|show|verify|delete`: images that new volumes lie above, and that nobody writes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.plugin import (
    Message,
    Question,
    Refused,
    Result,
    asking,
    changing,
    find_template,
    on_node,
    on_nodes,
    read_templates,
    replace,
    users_of,
    verify_template,
)
from vfioctl_storage.commands import work
from vfioctl_storage.commands.volume_work import step
from vfioctl_storage.names import NOTHING_CHANGED

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.plugin import Call, Connection, Node, Template

LOSS = "template.unconfirmed"
SHOWN = ("uuid", "type", "created", "updated", "storage", "image", "format", "sha256", "os", "source", "description",
         "size")  # fmt: skip


@click.command("list")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Only those with this tag; given again, with all.")
@on_nodes
@click.pass_obj
def listed(call: Call, node: str, *, tags: tuple[str, ...], all_nodes: bool) -> Result:
    """List every template."""

    def rows(connection: Connection) -> list[dict[str, Any]]:
        found = [_row(connection.node, one) for one in read_templates(connection)]
        return [one for one in found if set(tags) <= set(one["tags"])]

    return call.ask_nodes(rows, node, all_nodes=all_nodes).result("templates", lambda found: found)


@click.command()
@click.argument("name")
@on_node
@click.pass_obj
def show(call: Call, name: str, node: str) -> Result:
    """Show the template NAME, or POOL/NAME, and what is made of it: guests, and volumes that lie above it."""
    with call.connection(node) as connection:
        one = find_template(connection, name)
        host = call.host()
        users = users_of(connection, host.ask, one.image.path, paths=host.paths) if one.image else None
        row = _row(connection.node, one)
    guests, above = (list(users.guests), list(users.above)) if users else ([], [])
    snapshots = list(users.snapshots) if users else []
    return Result(data={"template": {**row, "guests": guests, "snapshots": snapshots, "above": above}})


@click.command("verify")
@click.argument("name")
@on_node
@click.pass_obj
def check(call: Call, name: str, node: str) -> Result:
    """Look whether the image of the template NAME is byte by byte as it was added. Reads all of it."""
    with call.connection(node) as connection:
        one = find_template(connection, name)
        verify_template(connection, one)
        row = _row(connection.node, one)
    return Result(data={"template": row}).saying(Message(f"The template {one.name} is as it was added."))


@click.command()
@click.argument("name")
@asking
@changing
@click.pass_obj
def delete(call: Call, name: str, node: str, *, yes: bool, dry_run: bool) -> Result:
    """Remove the template NAME, or POOL/NAME, for good. Refused while a guest or a volume needs its image.

    Of one whose image is gone the record is removed alone.
    """
    if yes:
        call.agree(LOSS)
    with call.connection(node) as connection:
        where, one = connection.node, _seen_anew(connection, name)
        users = users_of(connection, call.host().ask, one.place, paths=call.host().paths)
    if needing := (*(f"guest {guest}" for guest in users.guests), *users.snapshots, *users.above):
        needed = ", ".join(needing)
        raise Refused(
            "template.used", f"The template {one.name} is not removed, it is needed by: {needed}.",
            state=NOTHING_CHANGED, hints=("Delete these first.",),
        )  # fmt: skip
    steps = work.in_order(*(
        replace(gone, id=f"{gone.id}.{volume.name}") for volume in filter(None, (one.record, one.image))
        for gone in (step("volume.delete", where, one.pool, volume.name, "nobody needs it", path=volume.path,
                          size=volume.capacity, changed=volume.changed),)
    ))  # fmt: skip
    what = one.place if one.image else f"its record, since its image {one.place} is gone"
    lines = (f"The template {one.name} will be removed for good: {what}.",)
    wish = work.Wish("template delete", f"template:{one.name}", steps, finish=True,
                     question=Question(LOSS, lines))  # fmt: skip
    return work.perform(call, wish, dry_run=dry_run, template=_row(where, one))


def _seen_anew(connection: Connection, name: str) -> Template:
    """The template; one whose image is gone once libvirt has looked for it: it may know of a file that is not there."""
    one = find_template(connection, name)
    if one.image or not one.data:
        return one
    work.look_anew(connection, one.pool)
    return find_template(connection, name)


def _row(node: Node, one: Template) -> dict[str, Any]:
    """The template as data."""
    data = one.data
    row = {"node": str(node), "pool": one.pool.name, "name": one.name, "problem": one.problem,
           "path": one.image.path if one.image else ""}  # fmt: skip
    return {**row, **{key: getattr(data, key) if data else None for key in SHOWN},
            "features": list(data.features) if data else [], "tags": list(data.tags) if data else []}  # fmt: skip
