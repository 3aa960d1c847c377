"""`vfioctl config set SETTING VALUE`: change one setting in the guest's file or the host's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.cli.options import verb

if TYPE_CHECKING:
    from vfioctl.cli.app import App
    from vfioctl.cli.result import Result

NAME = "config set"


@verb("set")
@click.argument("setting")
@click.argument("value")
@click.option("--guest", help="In the file of this guest; without it in the host's file.")
@click.pass_obj
def command(app: App, setting: str, value: str, guest: str | None) -> Result:
    """Change one setting; comments are kept.

    It is checked first: a wrong value changes nothing. A list is given as a,b,c. It counts from the next start on.
    """
    from vfioctl.cli.facts import must_be_managed, plugin_infos
    from vfioctl.cli.result import Message, Result
    from vfioctl.config.edit import set_setting

    app.need_trust()
    if guest is not None:
        must_be_managed(app, guest)
    paths = app.composition.paths
    kept = set_setting(paths, guest, setting, value, plugin_infos(app))
    kept = list(kept) if isinstance(kept, tuple) else kept
    file = paths.host_config if guest is None else paths.guest_config(guest)
    data = {"file": file, "guest": guest, "path": setting, "value": kept}
    return Result(NAME, data, messages=(Message(f"{setting} is set in {file}; it counts from the next start on."),))
