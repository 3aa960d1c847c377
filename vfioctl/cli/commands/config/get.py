"""`vfioctl config get SETTING`: one value. Works without root."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.cli.types import MANAGED, SETTING
from vfioctl.result import Result


@click.command()
@click.argument("guest", type=MANAGED)
@click.argument("setting", type=SETTING)
@click.pass_obj
def command(call: Call, guest: str, setting: str) -> Result:
    """Show one setting of a guest.

    SETTING is a dotted path such as deadlines.prepare.
    """
    from vfioctl.actions.settings import get

    return get(call, guest, setting)
