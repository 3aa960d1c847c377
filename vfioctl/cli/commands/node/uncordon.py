"""`vfioctl node uncordon NAME`: a node takes guests again."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.cli.types import NODE
from vfioctl.result import Result


@click.command()
@click.argument("name", type=NODE)
@click.pass_obj
def command(call: Call, name: str) -> Result:
    """Let a node take and start guests again."""
    from vfioctl.actions.node_files import cordon

    return cordon(call, name, cordoned=False)
