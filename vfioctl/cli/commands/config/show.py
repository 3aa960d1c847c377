"""`vfioctl config show [GUEST]`: every setting with its value and, when asked, its origin. Works without root."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.cli.types import MANAGED
from vfioctl.result import Result


@click.command()
@click.argument("guest", type=MANAGED)
@click.option("--origin", is_flag=True, help="Also show where each value comes from.")
@click.pass_obj
def command(call: Call, guest: str, origin: bool) -> Result:  # noqa: FBT001 -- click's signature
    """Show every setting of a guest with its value.

    Precedence: environment VFIOCTL_*, guest file, host file, default.
    """
    from vfioctl.actions.settings import show

    return show(call, guest, origin=origin)
