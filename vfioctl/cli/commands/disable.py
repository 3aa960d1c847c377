"""`vfioctl disable GUEST`: removes the guest file and restores what `enable` changed in the domain."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.cli.types import MANAGED, xml_option
from vfioctl.result import Result


@click.command()
@click.argument("guest", type=MANAGED)
@xml_option
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.pass_obj
def command(call: Call, guest: str, xml: str | None, *, dry_run: bool) -> Result:
    """Manage a guest no longer.

    Its file is kept aside for the next `enable`, its pinned identities are forgotten, and what `enable` changed in
    the domain is taken back: byte for byte, or just that where somebody has edited the domain since. A guest that
    runs keeps its card until it stops; the card comes back as it always does. It is one operation, as `enable` is.
    """
    from vfioctl.actions.disable import disable

    return disable(call, guest, xml, dry_run=dry_run)
