"""`vfioctl config get SETTING`: one value. Works without root."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.cli.types import MANAGED, SETTING

if TYPE_CHECKING:
    from vfioctl.cli.app import App
    from vfioctl.cli.result import Result


@click.command()
@click.argument("guest", type=MANAGED)
@click.argument("setting", type=SETTING)
@click.pass_obj
def command(app: App, guest: str, setting: str) -> Result:
    """Show one setting of a guest.

    SETTING is a dotted path such as deadlines.prepare.
    """
    from vfioctl.cli.commands.config.show import about_unmanaged, rows_of
    from vfioctl.cli.facts import guest_config, plugin_infos
    from vfioctl.cli.lookup import no_such
    from vfioctl.cli.result import Result
    from vfioctl.shell import argument

    warned = about_unmanaged(app, guest)
    plugins = plugin_infos(app)
    rows = {row["path"]: row for row in rows_of(guest_config(app, guest, plugins), plugins)}
    if setting not in rows:
        refused = no_such("config.unknown", f"There is no setting {setting!r}", setting, rows, "The settings")
        refused.hints = (f"See them all with: vfioctl config show {argument(guest)}",)
        raise refused
    return Result(data={"guest": guest, **rows[setting]}).saying(*warned)
