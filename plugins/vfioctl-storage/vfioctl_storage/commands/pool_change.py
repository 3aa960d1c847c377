"""`vfioctl pool start|stop|autostart`: one step each. What is so already is no error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.plugin import Message, Result, changing, pool_names, read_pool
from vfioctl_storage.commands.work import Wish, perform, row, step, subject

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.plugin import Call, Node, Pool, StepProposal


@click.command()
@click.argument("name", shell_complete=pool_names)
@changing
@click.pass_obj
def start(call: Call, name: str, node: str, *, dry_run: bool) -> Result:
    """Let libvirt work with the pool NAME: a file system is mounted, its volumes are looked for."""
    where, pool = _named(call, name, node)
    if pool.is_active:
        return _nothing(where, pool, "is active already")
    return _do(call, where, pool, step("pool.start", where.uri, pool.uuid, "libvirt is to work with it"), dry_run)


@click.command()
@click.argument("name", shell_complete=pool_names)
@changing
@click.pass_obj
def stop(call: Call, name: str, node: str, *, dry_run: bool) -> Result:
    """Let libvirt work with the pool NAME no longer; a file system is unmounted. Its volumes stay.

    Refused while a running guest has a disk in it.
    """
    where, pool = _named(call, name, node)
    if not pool.is_active:
        return _nothing(where, pool, "is not active")
    return _do(call, where, pool, step("pool.stop", where.uri, pool.uuid, "nobody works with it any more"), dry_run)


@click.command()
@click.argument("name", shell_complete=pool_names)
@click.option("--off", is_flag=True, help="Do not let it start with its host any more.")
@changing
@click.pass_obj
def autostart(call: Call, name: str, node: str, *, off: bool, dry_run: bool) -> Result:
    """Let the pool NAME start with its host, or with --off no more."""
    where, pool = _named(call, name, node)
    if pool.autostart is not off:
        return _nothing(where, pool, f"{'does not start' if off else 'starts'} with its host already")
    reason = f"it is {'not ' if off else ''}to start with its host"
    return _do(call, where, pool, step("pool.autostart", where.uri, pool.uuid, reason, on=not off), dry_run)


def _named(call: Call, name: str, node: str) -> tuple[Node, Pool]:
    with call.connection(node) as connection:
        return connection.node, read_pool(connection, name)


def _do(call: Call, node: Node, pool: Pool, wanted: StepProposal, dry_run: bool) -> Result:  # noqa: FBT001
    """The verb is called as the kind of its one step."""
    wish = Wish(wanted.kind.replace(".", " "), subject(node, pool.name), (wanted,), finish=True)
    return perform(call, wish, dry_run=dry_run, pool=row(node, pool))


def _nothing(node: Node, pool: Pool, why: str) -> Result:
    data: dict[str, Any] = {"operation": None, "steps": [], "dry_run": False, "pool": row(node, pool)}
    return Result(data=data).saying(Message(f"The pool {pool.name} {why}."))
