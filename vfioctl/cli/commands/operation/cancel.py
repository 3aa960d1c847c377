"""`vfioctl operation cancel`: asks an operation to stop."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.cli.types import OPERATION
from vfioctl.result import Result


@click.command()
@click.argument("operation", type=OPERATION)
@click.pass_obj
def command(call: Call, operation: str) -> Result:
    """Ask an operation to stop: it undoes its work.

    It comes to a checkpoint or the end of its step first. Past a step that nothing takes back it is refused. OPERATION
    is its key, the beginning of that, or what it is about.
    """
    from vfioctl.actions.operations import cancelled

    return cancelled(call, operation)
