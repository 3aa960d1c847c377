"""`vfioctl hook install`: puts the hook, the unit and the manifest in place."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.result import Result


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be written.")
@click.pass_obj
def command(call: Call, *, dry_run: bool) -> Result:
    """Install the libvirt hook, the recovery unit and the plugin manifest.

    The unit finishes at boot what a power loss interrupted. Other hooks are not touched.
    Run it again after an update of Python or of vfioctl.
    """
    from vfioctl.actions.hook import install

    return install(call, dry_run=dry_run)
