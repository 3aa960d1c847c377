"""`vfioctl disable GUEST`: removes the guest file and restores what `enable` changed in the domain."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.actions.disable import disable
from vfioctl.cli.types import MANAGED, xml_option
from vfioctl.result import Result


@click.command()
@click.argument("guest", type=MANAGED)
@xml_option
@click.pass_obj
def command(call: Call, guest: str, xml: str | None) -> Result:
    """Manage a guest no longer.

    Its file is kept aside for the next `enable`, its pinned identities are forgotten, and managed='yes' is restored
    where it was. A guest that runs keeps its card until it stops; the card comes back as it always does.
    """
    return disable(call, guest, xml)
