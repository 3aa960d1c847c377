"""`vfioctl operation show`: one open operation, step by step."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.cli.types import OPERATION
from vfioctl.result import Result


@click.command()
@click.argument("operation", type=OPERATION)
@click.pass_obj
def command(call: Call, operation: str) -> Result:
    """Show one open operation, step by step.

    OPERATION is its key, the beginning of that, or what it is about.
    """
    from vfioctl.actions.operations import shown

    return shown(call, operation)
