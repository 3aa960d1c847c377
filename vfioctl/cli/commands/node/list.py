"""`vfioctl node list`: every node, and whether it answers."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.result import Result


@click.command()
@click.pass_obj
def command(call: Call) -> Result:
    """List the nodes, and whether each answers.

    They are this host, and those whose libvirt is asked from here. All are asked at once, each for 15 s at most. One
    that does not answer is listed with its reason, and the exit status is 1.
    """
    from vfioctl.actions.node_list import listed

    return listed(call)
