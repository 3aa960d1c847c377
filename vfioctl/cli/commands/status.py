"""`vfioctl status`: last outcomes, what is under way or unfinished, where each device is. Works without root."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.cli.types import MANAGED
from vfioctl.result import Result


@click.command()
@click.argument("guest", type=MANAGED, required=False)
@click.pass_obj
def command(call: Call, guest: str | None) -> Result:
    """Show where each device is, who holds it, what is unfinished.

    Failures of the last hand-offs come first, until they are settled: by a later success, by `recover` or by `disable`.
    It answers also while a hand-off runs and when a device is stuck in the kernel. With GUEST only what concerns it is
    shown. What only root may read is left out and said. The exit status says whether everything could be read, not
    whether all is well.
    """
    from vfioctl.actions.status import status

    return status(call, guest)
