"""`vfioctl volume list` and `show`: what there is, and who needs it. Reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.plugin import Result, on_node, read_pool, read_pools, read_volumes
from vfioctl_storage.commands.volume_work import active_pool, must_be_active, row, subject

if TYPE_CHECKING:
    from vfioctl.plugin import Call


@click.command("list")
@click.argument("pool", required=False)
@on_node
@click.pass_obj
def listed(call: Call, pool: str | None, node: str) -> Result:
    """List the volumes of POOL, or of every active pool, as of its last refresh."""
    with call.connection(node) as connection:
        pools = (must_be_active(read_pool(connection, pool)),) if pool else read_pools(connection)
        found = [row(connection.node, volume) for one in pools for volume in read_volumes(connection, one)]
    return Result(data={"volumes": found})


@click.command()
@click.argument("pool")
@click.argument("name")
@on_node
@click.pass_obj
def show(call: Call, pool: str, name: str, node: str) -> Result:
    """Show the volume NAME of POOL: its size, what lies below it, the guests that come to it, and what lies above."""
    with active_pool(call, pool, node) as (connection, place):
        subj = subject(call, connection, place, name)
    users = subj.users
    data = {**row(subj.node, subj.volume), "guests": list(users.guests), "running": list(users.running),
            "saved": list(users.saved), "above": list(users.above)}  # fmt: skip
    return Result(data={"volume": data})
