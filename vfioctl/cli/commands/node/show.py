"""`vfioctl node show [NODE]`: one node in full."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.cli.types import NODE
from vfioctl.result import Result
from vfioctl.verbs.options import on_node


@click.command()
@click.argument("name", type=NODE, required=False, metavar="[NODE]")
@on_node
@click.pass_obj
def command(call: Call, name: str | None, node: str) -> Result:
    """Show the machine that a node is: processors, memory, NUMA cells, huge pages, and what guests there can have.

    NODE is a name or a URI; without it this host. What the firmware or an older libvirt does not tell is taken from
    elsewhere, or left out.
    """
    from vfioctl.actions.node_list import shown

    return shown(call, name or "", node)
