"""`vfioctl pool list`, `show` and `refresh`: what there is, and who uses it. No file is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.plugin import Result, on_node, on_nodes, pool_names, read_pool, read_pools, read_uses
from vfioctl_storage.commands.volume_work import must_be_active
from vfioctl_storage.commands.work import look_anew, row, users

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.plugin import Call, Connection, Pool


@click.command("list")
@on_nodes
@click.pass_obj
def listed(call: Call, node: str, *, all_nodes: bool) -> Result:
    """List every pool: its state, its place, and the room that is left."""
    return call.ask_nodes(_rows, node, all_nodes=all_nodes).result("pools", lambda rows: rows)


def _rows(connection: Connection) -> list[dict[str, Any]]:
    return [row(connection.node, pool) for pool in read_pools(connection)]


@click.command()
@click.argument("name", shell_complete=pool_names)
@on_node
@click.pass_obj
def show(call: Call, name: str, node: str) -> Result:
    """Show the pool NAME, and the guests that have a disk in it."""
    with call.connection(node) as connection:
        return _shown(connection, read_pool(connection, name))


@click.command()
@click.argument("name", shell_complete=pool_names)
@on_node
@click.pass_obj
def refresh(call: Call, name: str, node: str) -> Result:
    """Let libvirt look into the pool NAME anew: a file that somebody put there is a volume only then."""
    with call.connection(node) as connection:
        pool = must_be_active(connection.node, read_pool(connection, name))
        look_anew(connection, pool)
        return _shown(connection, read_pool(connection, pool.uuid))


def _shown(connection: Connection, pool: Pool) -> Result:
    return Result(data={"pool": {**row(connection.node, pool), "guests": users(read_uses(connection), pool)}})
