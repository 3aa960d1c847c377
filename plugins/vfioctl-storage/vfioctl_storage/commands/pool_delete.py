"""`vfioctl pool delete`: libvirt forgets a pool. No file ever goes; a directory of ours does when it is empty."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from vfioctl.plugin import (
    Message,
    Question,
    Refused,
    Result,
    argument,
    asking,
    changing,
    content_name,
    pool_names,
    read_pool,
    read_uses,
    read_volumes,
)
from vfioctl_storage.commands.volume_work import TEMPLATES
from vfioctl_storage.commands.work import Wish, in_order, look_anew, perform, row, step, subject, users
from vfioctl_storage.documents import LOGICAL
from vfioctl_storage.names import NOTHING_CHANGED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vfioctl.plugin import Call, Connection, Node, Pool

LOSS = "pool.unconfirmed"
MOST_NAMES = 10


@click.command()
@click.argument("name", shell_complete=pool_names)
@click.option("--keep-files", is_flag=True, help="Forget it though it has volumes; their files stay.")
@asking
@changing
@click.pass_obj
def delete(call: Call, name: str, node: str, *, keep_files: bool, yes: bool, dry_run: bool) -> Result:
    """Let libvirt forget the pool NAME, which is stopped first. No file is removed.

    A pool with volumes is refused, unless their files are to stay with --keep-files; so is one that a guest has a disk
    in. The directory goes when `vfioctl pool create` has made it and it is empty. The pool of its templates stays.
    """
    if yes:
        call.agree(LOSS)
    with call.connection(node) as connection:
        where, pool = connection.node, read_pool(connection, name)
        names, guests = _volumes(connection, pool), users(read_uses(connection), pool)
    if guests:
        said = f"The pool {pool.name} is not deleted: guests have disks in it: {', '.join(guests)}."
        raise Refused("pool.used", said, state=NOTHING_CHANGED, hints=("Delete or change these guests first.",))
    if not keep_files:
        _must_be_empty(call, where, pool, names)
    content = pool.xml.encode()
    blob = content_name(content)
    steps = in_order(
        step("pool.stop", where.uri, pool.uuid, "nobody works with it any more") if pool.is_active else None,
        step("pool.delete", where.uri, pool.uuid, f"libvirt is to forget {pool.name}", blob=blob,
             autostart=pool.autostart, directory=where.is_local and pool.kind != LOGICAL),
    )  # fmt: skip
    kept = "volume group, and no volume of it, is" if pool.kind == LOGICAL else "file is"
    at = f" at {pool.path}" if pool.path else ""
    lines = (f"libvirt forgets the pool {pool.name}{at}; no {kept} removed.",)
    wish = Wish("pool delete", subject(where, pool.name), steps, {blob: content}, question=Question(LOSS, lines))
    return _said(call, where, pool, perform(call, wish, dry_run=dry_run, pool=row(where, pool)))


def _volumes(connection: Connection, pool: Pool) -> Sequence[str]:
    """The names of its volumes, looked for anew. The directory of its templates is none: it is a pool of its own."""
    if not pool.is_active:
        return ()
    look_anew(connection, pool)
    found = read_volumes(connection, pool)
    return [volume.name for volume in found if (volume.name, volume.kind) != (TEMPLATES, "dir")]


def _must_be_empty(call: Call, node: Node, pool: Pool, names: Sequence[str]) -> None:
    forget = f"Or let their files stay: {call.again('--keep-files')}"
    if not pool.is_active:
        start = f"Start it first: vfioctl pool start {argument(pool.name)}{node.there}"
        raise Refused(
            "pool.not_empty", f"The pool {pool.name} is not active, so that nobody knows which volumes it has.",
            state=NOTHING_CHANGED, hints=(start, forget),
        )  # fmt: skip
    if names:
        more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        said = f"The pool {pool.name} has volumes: {', '.join(names[:MOST_NAMES])}{more}."
        hint = f"Delete them with: vfioctl volume delete {argument(pool.name)} VOLUME{node.there}"
        raise Refused("pool.not_empty", said, state=NOTHING_CHANGED, hints=(hint, forget))


def _said(call: Call, node: Node, pool: Pool, result: Result) -> Result:
    """What is left of it."""
    place = call.paths.at(pool.path)
    if pool.kind == LOGICAL or not pool.path:
        return result
    if result.exit_status or result.data["dry_run"]:
        return result
    if node.is_local and not call.host().ask(place, lambda: os.path.isdir(place)):
        return result
    return result.saying(Message(f"The directory {pool.path} stays, with what is in it."))
