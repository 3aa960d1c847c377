"""`vfioctl config unset SETTING [ITEM…]`: take a setting, or items of a list, out of a file."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.cli.types import ITEM, MANAGED, SETTING
from vfioctl.result import Result


@click.command()
@click.argument("setting", type=SETTING)
@click.argument("items", type=ITEM, nargs=-1, metavar="[ITEM...]")
@click.option("--guest", type=MANAGED, help="In the file of this guest; without it in the host's file.")
@click.pass_obj
def command(call: Call, setting: str, items: tuple[str, ...], guest: str | None) -> Result:
    """Remove one setting, or only these items of a list; comments are kept.

    What then applies comes from the host's file, or is the default.
    """
    from vfioctl.actions.config import unset

    return unset(call, setting, items, guest)
