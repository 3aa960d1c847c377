"""`vfioctl config add SETTING ITEM…`: add to a list in the guest's file or the host's."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.cli.types import ITEM, MANAGED, SETTING
from vfioctl.result import Result


@click.command()
@click.argument("setting", type=SETTING)
@click.argument("items", type=ITEM, nargs=-1, required=True, metavar="ITEM...")
@click.option("--guest", type=MANAGED, help="In the file of this guest; without it in the host's file.")
@click.pass_obj
def command(call: Call, setting: str, items: tuple[str, ...], guest: str | None) -> Result:
    """Add to a list; comments are kept.

    A list in a guest's file replaces the host's, so the guest's begins with what is in force now.
    """
    from vfioctl.actions.config import add

    return add(call, setting, items, guest)
