"""`vfioctl operation follow`: what an operation does, until it has ended."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.cli.types import OPERATION
from vfioctl.result import Result


@click.command()
@click.argument("operation", type=OPERATION)
@click.pass_obj
def command(call: Call, operation: str) -> Result:
    """Follow an operation until it has ended.

    ^C ends the following and leaves the operation running; a second one soon after it asks to cancel. OPERATION is its
    key, the beginning of that, or what it is about.
    """
    from vfioctl.actions.operations import followed

    return followed(call, operation)
