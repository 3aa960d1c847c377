"""The options that many verbs share, as decorators of their commands. `vfioctl.plugin` gives them to plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from vfioctl.plugin.operations import Call, Command


def on_node(command: Command) -> Command:
    """The option --node of a verb: the name of a node, or its URI; "local" where it is not given."""
    option = click.option(
        "--node", default="local", show_default=True, shell_complete=_nodes, help="The node that is meant, or its URI."
    )
    return option(command)


def _nodes(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The names of nodes that begin so; reads no file and asks no node."""
    from vfioctl.config.nodes import names  # only a completion needs it

    call: Call = ctx.find_root().obj
    return [name for name in names(call.paths) if name.startswith(incomplete)]


def on_nodes(command: Command) -> Command:
    """The options of a verb that lists: --node, and --all-nodes, which asks every node."""
    return on_node(click.option("--all-nodes", is_flag=True, help="Ask every node, side by side.")(command))


def changing(command: Command) -> Command:
    """The options of a verb that changes something on a node: --node and --dry-run."""
    return on_node(click.option("--dry-run", is_flag=True, help="Only say what would be done.")(command))


def asking(command: Command) -> Command:
    """The option --yes of a verb that asks."""
    return click.option("--yes", is_flag=True, help="Do not ask.")(command)
