"""`vfioctl guest delete`: a guest goes with its disks, or without them."""

from __future__ import annotations

import os
import uuid
from functools import partial
from typing import TYPE_CHECKING

import click

from vfioctl.plugin import (
    Message,
    OperationRequest,
    Question,
    Result,
    Unfinished,
    asking,
    changing,
    every_volume,
    guest_names,
)
from vfioctl_guest.delete import draft, going_of
from vfioctl_guest.doomed import look

if TYPE_CHECKING:
    from vfioctl.plugin import Call

DELETION = "guest.unconfirmed_delete"  # what is asked


@click.command()
@click.argument("name", shell_complete=guest_names)
@click.option("--keep-disks", is_flag=True, help="Leave its disks where they are.")
@asking
@changing
@click.pass_obj
def delete(call: Call, name: str, node: str, *, keep_disks: bool, yes: bool, dry_run: bool) -> Result:
    """Delete the guest NAME, which is off, with its disks, seed and snapshots, its NVRAM and the state of its TPM.

    What goes and what stays is said before. The seed goes even where the disks are kept. CDs stay, and so does what is
    read-only. A disk that another guest, a clone or a template needs is not deleted, and neither is the guest then,
    unless its disks are to be kept.
    """
    if yes:
        call.agree(DELETION)
    with call.connection(node) as connection:
        doomed = look(call, connection, name)
    if doomed.files or (doomed.snapshots and doomed.here):
        call.need_root()  # what is written down of its snapshots, and their images, only root sees
    made = draft(doomed, keep_disks=keep_disks)
    request = OperationRequest(
        plugin="guest", operation="guest delete", subject=f"guest:{doomed.guest.name}", key=str(uuid.uuid4()),
        proposals=made.steps, unfinished=Unfinished.FINISH, contents=made.contents, findings=made.findings,
        question=Question(DELETION, (*made.lost, *made.kept)) if made.lost else None,
    )  # fmt: skip
    result = call.perform(request, dry_run=dry_run)
    lines = (*made.lost, *made.kept) if dry_run else made.kept if result.exit_status == 0 else ()
    going = tuple(disk.path for disk in going_of(doomed, keep_disks=keep_disks))
    disks = list(going) if dry_run else _gone(call, node, going)
    return Result(
        data={**result.data, "guest": doomed.guest.name, "uuid": doomed.guest.uuid, "node": doomed.node,
              "disks": disks, "snapshots": list(doomed.past.names)},
        messages=(*result.messages, *map(Message, lines)), errors=result.errors, exit_status=result.exit_status,
    )  # fmt: skip


def _gone(call: Call, node: str, paths: tuple[str, ...]) -> list[str]:
    """Those of `paths` that are not there any more: what cannot be removed stays, with a warning."""
    if not paths:
        return []
    with call.connection(node) as connection:
        left = {one.path for one in every_volume(connection)}
        here = connection.node.is_local
    host = call.host()
    return [one for one in paths if one not in left and not (here and host.ask(one, partial(os.path.lexists, one)))]
