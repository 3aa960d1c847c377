"""`vfioctl node cordon NAME`: a node takes no new guest and starts none."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.cli.types import NODE
from vfioctl.result import Result


@click.command()
@click.argument("name", type=NODE)
@click.pass_obj
def command(call: Call, name: str) -> Result:
    """Take no new guest on a node, and start none there: before it is worked on.

    Guests that run go on. virsh, and libvirt by itself at boot, start guests as before.
    """
    from vfioctl.actions.node_files import cordon

    return cordon(call, name, cordoned=True)
