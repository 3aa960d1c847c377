"""`vfioctl config unset SETTING [ITEM…]`: take a setting, or items of a list, out of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.cli.types import ITEM, MANAGED, SETTING

if TYPE_CHECKING:
    from vfioctl.cli.app import App
    from vfioctl.cli.result import Result


@click.command()
@click.argument("setting", type=SETTING)
@click.argument("items", type=ITEM, nargs=-1, metavar="[ITEM...]")
@click.option("--guest", type=MANAGED, help="In the file of this guest; without it in the host's file.")
@click.pass_obj
def command(app: App, setting: str, items: tuple[str, ...], guest: str | None) -> Result:
    """Remove one setting, or only these items of a list; comments are kept.

    What then applies comes from the host's file, or is the default.
    """
    from vfioctl.cli.commands.config.set import changed, prepared
    from vfioctl.config.edit import unset_setting

    plugins = prepared(app, guest)
    kept = unset_setting(app.composition.paths, guest, setting, items, plugins)
    said = "is no longer set" if kept is None else f"is now {', '.join(kept) or 'empty'}"
    return changed(app, guest, setting, value=kept, said=said)
