"""`vfioctl template add|list|show|verify|delete`: images that new volumes lie above, and that nobody writes to."""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from typing import TYPE_CHECKING

import click

from vfioctl.plugin import (
    Message,
    Question,
    Refused,
    Result,
    TemplateData,
    argument,
    asking,
    changing,
    content_name,
    find_template,
    frozen,
    no_such,
    on_node,
    on_nodes,
    open_plain,
    read_pools,
    read_templates,
    replace,
    templates_pool,
    users_of,
    verify_template,
)
from vfioctl_storage import documents, image
from vfioctl_storage.commands import work
from vfioctl_storage.commands.volume_create import FORMATS
from vfioctl_storage.commands.volume_transfer import checksum
from vfioctl_storage.commands.volume_work import is_marked, must_be_active, step
from vfioctl_storage.names import NOTHING_CHANGED, check_template

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.plugin import Call, Connection, Node, Pool, StepProposal, Template

LOSS = "template.unconfirmed"
READ_ONLY = "0444"
DIRECTORY = "_templates_"  # below that of the pool
CHUNK = 1 << 20
SHOWN = ("uuid", "type", "created", "image", "format", "sha256", "os", "source", "description", "size")


@click.command()
@click.argument("name")
@click.option("--pool", required=True, metavar="POOL", help="Beside the volumes of this pool.")
@click.option("--file", required=True, metavar="FILE", help="The image, on this host.")
@click.option("--sha256", default="", metavar="SUM", help="The checksum that FILE must have.")
@click.option("--image-format", "form", type=FORMATS, default=None, help="What FILE is; by its header unless given.")
@click.option("--os", "system", default="", metavar="TEXT", help="Which system is in it, for people.")
@click.option("--description", default="", metavar="TEXT", help="More of it, for people.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="A word to find it by; may be given again.")
@changing
@click.pass_obj
def add(
    call: Call, name: str, *, pool: str, file: str, sha256: str, form: str | None, system: str, description: str,
    tags: tuple[str, ...], node: str, dry_run: bool,
) -> Result:  # fmt: skip
    """Make the template NAME of the image FILE.

    It is kept read-only in a pool of its own, POOL-templates, in the directory _templates_ of POOL; both are made where
    they are not there. Its checksum is written down with it, and looked at before anything is made of it.
    """
    check_template(name)
    wanted, path = checksum(sha256), os.path.abspath(file)
    found = image.read(call.host(), path, form)
    with call.connection(node) as connection:
        where, pools = connection.node, {one.name: one for one in read_pools(connection)}
        taken = [one.name for one in read_templates(connection) if one.pool.name == templates_pool(pool)]
    if pool not in pools:
        raise no_such("pool.unknown", f"There is no pool {pool!r}", pool, pools, "The pools")
    if name in taken:
        said = f"The pool {templates_pool(pool)} has a template {name} already."
        raise Refused("template.exists", said, state=NOTHING_CHANGED, hints=("Choose another name.",))
    seen = _sum(call, path)
    if wanted and wanted != seen:
        said = f"{path} has the sha256 {seen}, not {wanted}."
        raise Refused("volume.checksum", said, state=NOTHING_CHANGED)
    made = TemplateData(
        name=name, uuid=str(uuid.uuid4()), created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        image=f"{name}.{'qcow2' if found.format == 'qcow2' else 'img'}", format=found.format, size=found.size,
        sha256=seen, source=path, os=system, description=description, tags=tags,
    )  # fmt: skip
    beside, there = must_be_active(pools[pool]), pools.get(templates_pool(pool))
    room = Room(where, *_place(call, where, beside, there), later=there is None, marked=is_marked(call, where, beside))
    return _add(call, room, made, found, dry_run=dry_run)


@frozen
class Room:
    """The pool that a template goes to; `before` makes it where it is not there, with `contents`."""

    node: Node
    pool: Pool
    before: tuple[StepProposal, ...]
    contents: dict[str, bytes]
    later: bool
    marked: bool


def _add(call: Call, room: Room, made: TemplateData, found: image.Image, *, dry_run: bool) -> Result:
    where, into, marked = room.node, room.pool, room.marked
    record = made.document()
    blob = content_name(record)
    reason = f"the template {made.name}"

    def new(volume: str, form: str, count: int, **fill: Any) -> tuple[StepProposal, StepProposal]:
        blank = step("volume.create", where, into, volume, reason, format=form, size=count, mode=READ_ONLY,
                     later=room.later, marked=marked)  # fmt: skip
        filled = step("volume.upload", where, into, volume, reason, marked=marked, **fill)
        return (replace(blank, id=f"{blank.id}.{volume}"), replace(filled, id=f"{filled.id}.{volume}"))

    steps = work.in_order(
        *room.before,
        *new(made.image, made.format, made.size, source=found.path, size=found.length, sha256=made.sha256),
        *new(made.file, "raw", len(record), blob=blob, size=len(record)),
    )  # fmt: skip
    wish = work.Wish("template add", f"template:{made.name}", steps, {**room.contents, blob: record})
    shown = {"node": str(where), "pool": into.name, "name": made.name, "image": made.image, "sha256": made.sha256,
             "size": made.size}  # fmt: skip
    return work.perform(call, wish, dry_run=dry_run, template=shown)


def _place(
    call: Call, where: Node, beside: Pool, there: Pool | None
) -> tuple[Pool, tuple[StepProposal, ...], dict[str, bytes]]:
    """The pool for the templates of `beside`, the steps that make it, and the contents of these."""
    if there is not None:
        return must_be_active(there), (), {}
    name, path, chosen = templates_pool(beside.name), f"{beside.path.rstrip('/')}/{DIRECTORY}", str(uuid.uuid4())
    content = documents.pool(name, chosen, path)
    blob, fresh = content_name(content), where.is_local and not os.path.lexists(call.paths.at(path))
    steps = (
        work.step("pool.define", where.uri, chosen, f"libvirt is to know {name}", blob=blob,
                  build=fresh or not where.is_local, fresh=fresh),
        work.step("pool.start", where.uri, chosen, "libvirt is to work with it"),
        work.step("pool.autostart", where.uri, chosen, "it is to start with its host", on=True),
    )  # fmt: skip
    return replace(beside, name=name, uuid=chosen, path=path), steps, {blob: content}


def _sum(call: Call, path: str) -> str:
    """The sha256 of the file, read once."""
    found, fd = hashlib.sha256(), open_plain(call.paths.at(path), follow=True, foreign=True)
    try:
        while data := os.read(fd, CHUNK):
            found.update(data)
    finally:
        os.close(fd)
    return found.hexdigest()


@click.command("list")
@on_nodes
@click.pass_obj
def listed(call: Call, node: str, *, all_nodes: bool) -> Result:
    """List every template."""

    def rows(connection: Connection) -> list[dict[str, Any]]:
        return [_row(connection.node, one) for one in read_templates(connection)]

    return call.ask_nodes(rows, node, all_nodes=all_nodes).result("templates", lambda found: found)


@click.command()
@click.argument("name")
@on_node
@click.pass_obj
def show(call: Call, name: str, node: str) -> Result:
    """Show the template NAME, or POOL/NAME, and what is made of it: guests, and volumes that lie above it."""
    with call.connection(node) as connection:
        one = find_template(connection, name)
        users = users_of(connection, call.host().ask, one.image.path) if one.image else None
        row = _row(connection.node, one)
    guests, above = (list(users.guests), list(users.above)) if users else ([], [])
    return Result(data={"template": {**row, "guests": guests, "above": above}})


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
    """Remove the template NAME, or POOL/NAME, for good. Refused while a guest or a volume needs its image."""
    if yes:
        call.agree(LOSS)
    with call.connection(node) as connection:
        where, one = connection.node, find_template(connection, name)
        _, picture = one.usable()
        users = users_of(connection, call.host().ask, picture.path)
    if users.guests or users.above:
        needed = ", ".join((*(f"guest {guest}" for guest in users.guests), *users.above))
        raise Refused(
            "template.used", f"The template {one.name} is not removed, it is needed by: {needed}.",
            state=NOTHING_CHANGED, hints=("Delete these first.",),
        )  # fmt: skip
    steps = work.in_order(*(
        replace(gone, id=f"{gone.id}.{volume.name}") for volume in (one.record, picture)
        for gone in (step("volume.delete", where, one.pool, volume.name, "nobody needs it", path=volume.path,
                          size=volume.capacity, changed=volume.changed),)
    ))  # fmt: skip
    lines = (f"The template {one.name} is removed for good: {picture.path}.",)
    wish = work.Wish("template delete", f"template:{one.name}", steps, finish=True,
                     question=Question(LOSS, lines, f"vfioctl template delete {argument(name)} --yes"))  # fmt: skip
    return work.perform(call, wish, dry_run=dry_run, template=_row(where, one))


def _row(node: Node, one: Template) -> dict[str, Any]:
    """The template as data."""
    data = one.data
    row = {"node": str(node), "pool": one.pool.name, "name": one.name, "problem": one.problem,
           "path": one.image.path if one.image else ""}  # fmt: skip
    return {**row, **{key: getattr(data, key) if data else None for key in SHOWN},
            "tags": list(data.tags) if data else []}  # fmt: skip
