"""`vfioctl hook uninstall`: removes what install put there, unless a hand-off is unfinished."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.result import Result


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.pass_obj
def command(call: Call, *, dry_run: bool) -> Result:
    """Remove the libvirt hook and the unit.

    Configuration and history stay.
    Refused while a hand-off is unfinished: without the hook its card would not come back.
    """
    from vfioctl.actions.hook import uninstall

    return uninstall(call, dry_run=dry_run)
