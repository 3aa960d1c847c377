"""`vfioctl config set SETTING VALUE`: change one setting in the guest's file or the host's."""

from __future__ import annotations

import re

import click

from vfioctl.actions.caller import Call
from vfioctl.cli.types import MANAGED, SETTING, VALUE
from vfioctl.result import Result


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
def command(call: Call, setting: str, value: str, guest: str | None, replace: bool) -> Result:  # noqa: FBT001 -- click's
    """Change one setting; comments are kept.

    It is checked first: a wrong value changes nothing. A list is given as a,b,c, and is changed by `config add` and
    `config unset`.
    """
    from vfioctl.actions.config import set_value

    return set_value(call, setting, value, guest, replace=replace)
