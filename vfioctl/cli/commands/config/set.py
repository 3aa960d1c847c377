"""`vfioctl config set SETTING VALUE`: change one setting in the guest's file or the host's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from vfioctl.cli.types import MANAGED, SETTING, VALUE

if TYPE_CHECKING:
    from vfioctl.cli.app import App
    from vfioctl.cli.result import Result
    from vfioctl.plugin.types import PluginInfo


class ValueCommand(click.Command):
    """A command one of whose arguments may be a negative number, which is no option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        numbers = [word for word in args if re.fullmatch(r"-[\d.]+", word)]
        others = [word for word in args if word not in numbers]
        return super().parse_args(ctx, [*others, "--", *numbers] if numbers else args)


@click.command(cls=ValueCommand)
@click.argument("setting", type=SETTING)
@click.argument("value", type=VALUE)
@click.option("--guest", type=MANAGED, help="In the file of this guest; without it in the host's file.")
@click.option("--replace", is_flag=True, help="Also replace a list that has further items.")
@click.pass_obj
def command(app: App, setting: str, value: str, guest: str | None, replace: bool) -> Result:  # noqa: FBT001 -- click's
    """Change one setting; comments are kept.

    It is checked first: a wrong value changes nothing. A list is given as a,b,c, and is changed by `config add` and
    `config unset`.
    """
    from vfioctl.config.edit import set_setting

    plugins = prepared(app, guest)
    kept = set_setting(app.composition.paths, guest, setting, value, plugins, replace=replace)
    return changed(app, guest, setting, value=kept, said="is set")


def prepared(app: App, guest: str | None) -> dict[str, PluginInfo]:
    """The plugins, whose settings may be changed too. Raises NotRoot, Refused("guest.unmanaged")."""
    from vfioctl.cli.facts import must_be_managed, plugin_infos

    app.need_trust()
    if guest is not None:
        must_be_managed(app, guest)
    return plugin_infos(app)


def changed(app: App, guest: str | None, setting: str, *, value: Any, said: str) -> Result:
    """The result of a changed file: what was done with the setting, where, and from when on it applies."""
    from vfioctl.cli.result import Message, Result
    from vfioctl.config.edit import file_of

    file = file_of(app.composition.paths, guest)
    kept = list(value) if isinstance(value, tuple) else value
    data: Mapping[str, Any] = {"file": file, "guest": guest, "path": setting, "value": kept}
    return Result(data=data, messages=(Message(f"{setting} {said} in {file}; takes effect at the next start."),))
