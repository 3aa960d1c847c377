"""`vfioctl hook verify`: tells what would stop the hook from firing."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.result import Result


@click.command()
@click.pass_obj
def command(call: Call) -> Result:
    """Tell what would stop the hook from firing.

    Also what would make it fight with another hook. Nothing is changed. Without root what cannot be read is left out.
    """
    from vfioctl.actions.hook import verify

    return verify(call)
