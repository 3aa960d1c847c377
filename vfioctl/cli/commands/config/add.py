"""`vfioctl config add SETTING ITEM…`: add to a list in the guest's file or the host's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.cli.types import ITEM, MANAGED, SETTING

if TYPE_CHECKING:
    from vfioctl.cli.app import App
    from vfioctl.cli.result import Result


@click.command()
@click.argument("setting", type=SETTING)
@click.argument("items", type=ITEM, nargs=-1, required=True, metavar="ITEM...")
@click.option("--guest", type=MANAGED, help="In the file of this guest; without it in the host's file.")
@click.pass_obj
def command(app: App, setting: str, items: tuple[str, ...], guest: str | None) -> Result:
    """Add to a list; comments are kept.

    A list in a guest's file replaces the host's, so the guest's begins with what is in force now.
    """
    from vfioctl.cli.commands.config.set import changed, prepared
    from vfioctl.config.edit import add_to_setting

    plugins = prepared(app, guest)
    kept = add_to_setting(app.composition.paths, guest, setting, items, plugins)
    return changed(app, guest, setting, value=kept, said=f"is now {', '.join(kept)}")
