"""`vfioctl operation list`: what is open."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.result import Result


@click.command()
@click.pass_obj
def command(call: Call) -> Result:
    """List what is open: hand-offs and every other operation.

    What has ended is listed by `vfioctl history`. Without root only your own operations are listed, which vfioctl keeps
    below $XDG_STATE_HOME.
    """
    from vfioctl.actions.operations import listed

    return listed(call)
