"""The options that every command has, and the class of command that has them."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import click

FORMATS = ("text", "json")


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
        option(["--format"], type=click.Choice(FORMATS), callback=_set_format, envvar="VFIOCTL_FORMAT",
               help="How to show the result."),
        option(["--no-color"], is_flag=True, callback=_set_no_color, help="No colour, also on a terminal."),
        option(["--root"], callback=_set_root, hidden=True, help="The root directory of the host to work on."),
    ]  # fmt: skip


class Verb(click.Command):
    """A command with the shared options; it tells the App its name, for the envelope."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params = [*self.params, *shared_options()]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            hidden = {name for param in self.params if getattr(param, "hidden", False) for name in param.opts}
            near = [name for name in error.possibilities or () if name not in hidden]
            meant = ["--format json"] if error.option_name == "--json" else near
            raise click.NoSuchOption(error.option_name, possibilities=meant, ctx=error.ctx) from None

    def invoke(self, ctx: click.Context) -> Any:
        ctx.obj.command = ctx.command_path.partition(" ")[2]
        ctx.obj.need_answers()
        return super().invoke(ctx)


verb: Callable[..., Callable[[Callable[..., Any]], Verb]] = partial(click.command, cls=Verb)
