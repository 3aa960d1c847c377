"""`vfioctl volume list` and `show`: what there is, and who needs it. Reads only."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from vfioctl.plugin import Result, on_node, on_nodes, pool_names, read_pool, read_pools, read_volumes
from vfioctl_storage.commands.volume_work import active_pool, must_be_active, row, subject

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.plugin import Call, Connection, Pool


@click.command("list")
@click.argument("pool", required=False, shell_complete=pool_names)
@on_nodes
@click.pass_obj
def listed(call: Call, pool: str | None, node: str, *, all_nodes: bool) -> Result:
    """List the volumes of POOL, or of every active pool, as of its last refresh."""
    read = partial(_rows, word=pool or "", everywhere=all_nodes)
    return call.ask_nodes(read, node, all_nodes=all_nodes).result("volumes", lambda rows: rows)


def _rows(connection: Connection, *, word: str, everywhere: bool) -> list[dict[str, Any]]:
    """The volumes of the pool `word`, or of all; of many nodes not each has such a pool."""
    if word and not everywhere:
        pools: tuple[Pool, ...] = (must_be_active(connection.node, read_pool(connection, word)),)
    else:
        pools = tuple(pool for pool in read_pools(connection) if word in ("", pool.name, pool.uuid))
    return [row(connection.node, volume) for pool in pools for volume in read_volumes(connection, pool)]


@click.command()
@click.argument("pool", shell_complete=pool_names)
@click.argument("name")
@on_node
@click.pass_obj
def show(call: Call, pool: str, name: str, node: str) -> Result:
    """Show the volume NAME of POOL: its size, what lies below it, the guests that come to it, and what lies above."""
    with active_pool(call, pool, node) as (connection, place):
        subj = subject(call, connection, place, name, any_kind=True)
    users = subj.users
    data = {**row(subj.node, subj.volume), "guests": list(users.guests), "running": list(users.running),
            "saved": list(users.saved), "snapshots": list(users.snapshots), "above": list(users.above)}  # fmt: skip
    return Result(data={"volume": data})
