"""The options that every command has."""

from __future__ import annotations

import os
from functools import partial

import click

FORMATS = ("text", "json")
FORMAT = "VFIOCTL_FORMAT"  # as --format


def _set_format(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value:
        ctx.obj.format = value


def _set_no_color(ctx: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001 -- click's signature
    if value:
        ctx.obj.color = False


def _set_root(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """Not as a click.Path, which looks at it without a deadline."""
    if value is None:
        return
    from vfioctl.reach import LOCAL, Reach

    where = value if os.path.isabs(value) else os.path.join(os.getcwd(), value)
    found = Reach({}, LOCAL).ask(where, partial(_directory, where))
    if not found:
        raise click.BadParameter(f"{value} is no directory.", ctx, param)
    ctx.obj.use_root(found)


def _directory(path: str) -> str:
    """Where the directory `path` is, without links; "" when it is none."""
    return os.path.realpath(path) if os.path.isdir(path) else ""


def shared_options() -> list[click.Parameter]:
    """--format, --no-color and the hidden --root: good before and after the verb."""
    option = partial(click.Option, expose_value=False, is_eager=True)
    return [
        option(["--format"], type=click.Choice(FORMATS), callback=_set_format, envvar=FORMAT,
               help="How to show the result."),
        option(["--no-color"], is_flag=True, callback=_set_no_color, help="No colour, also on a terminal."),
        option(["--root"], callback=_set_root, hidden=True, help="The root directory of the host to work on."),
    ]  # fmt: skip
