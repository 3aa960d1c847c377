"""`vfioctl gpu holders [ADDRESS]`: the processes that hold a card."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.cli.types import ADDRESS
from vfioctl.result import Result


@click.command()
@click.argument("address", type=ADDRESS, required=False)
@click.pass_obj
def command(call: Call, address: str | None) -> Result:
    """List the processes that hold a card.

    ADDRESS is a PCI address such as 0000:01:00.0, or 01:00.0 as lspci writes it; what goes along with it is looked at
    as well. Without it: every card. Without root only the user's own processes can be looked into.
    """
    from vfioctl.actions.holders import holders

    return holders(call, address)
