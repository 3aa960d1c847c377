"""A click group that knows its commands by a table and imports one only to run it."""

from __future__ import annotations

import importlib
from typing import Any

import click
from click.shell_completion import CompletionItem

from vfioctl.cli.commands import Entry
from vfioctl.cli.options import shared_options
from vfioctl.errors import Refused, VfioctlError

OTHER_WORDS = {"log": "history", "logs": "history", "ls": "list", "undo": "recover", "restore": "recover"}


class LazyGroup(click.Group):
    """A group of `entries`; help and completion come from the table, so they import no command."""

    def __init__(self, *args: Any, entries: tuple[Entry, ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.entries = entries

    def table(self, ctx: click.Context) -> tuple[Entry, ...]:  # noqa: ARG002 -- the root group adds what plugins bring
        """The commands of this group."""
        return self.entries

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [entry.name for entry in self.table(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = next((entry for entry in self.table(ctx) if entry.name == cmd_name), None)
        try:
            return None if entry is None else load(entry)
        except VfioctlError:
            if ctx.resilient_parsing:  # a word is being completed: then it has nothing to offer
                return None
            raise

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it; an unknown command is answered with the nearest one that there is."""
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(f"There is no command {args[0]!r}{_nearest(args[0], self.table(ctx)) or '.'}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(entry.name, entry.help) for entry in self.table(ctx)])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        mine = [CompletionItem(e.name, help=e.help) for e in self.table(ctx) if e.name.startswith(incomplete)]
        return [*mine, *click.Command.shell_complete(self, ctx, incomplete)]


def _nearest(word: str, entries: tuple[Entry, ...]) -> str:
    """`; did you mean "X"?`, where X is near, another word for it, or the same verb in one of the groups."""
    from vfioctl.config.schema import suggestion

    inner = {child.name: f"{entry.name} {child.name}" for entry in entries for child in entry.children}
    if said := OTHER_WORDS.get(word) or inner.get(word):
        return f'; did you mean "{said}"?'
    return suggestion(word, [entry.name for entry in entries])


def load(entry: Entry) -> click.Command:
    """The command that `entry` stands for. Raises VfioctlError("plugin.command_broken") when it cannot be imported.

    A plugin's is judged first, since the manifest was written at another time: Refused of the same code.
    """
    if entry.children:
        return LazyGroup(entry.name, entries=entry.children, params=shared_options(), help=entry.help)
    module, _, attribute = entry.target.partition(":")
    if module.startswith("vfioctl."):
        return _command(getattr(importlib.import_module(module), attribute))
    _must_be_safe(entry.name, module)
    try:
        return _command(getattr(importlib.import_module(module), attribute))
    except Exception as error:
        raise VfioctlError(
            "plugin.command_broken",
            f"The command {entry.name!r} of a plugin ({entry.target}) cannot be loaded: {error}.",
            hints=("See what is installed with: vfioctl plugins list",),
        ) from error


def _must_be_safe(name: str, module: str) -> None:
    from vfioctl.ownership import mended
    from vfioctl.plugin.package import culprit

    if found := culprit(module):
        hint = mended(found[0], "Install it where only root can write, as vfioctl itself.")
        raise Refused(
            "plugin.command_broken", f"The command {name!r} of a plugin is not run: {found[1]}.",
            state="Nothing of it was imported.", hints=(hint,),
        )  # fmt: skip


def _command(found: object) -> click.Command:
    if not isinstance(found, click.Command):
        raise TypeError(f"{found!r} is not a click command")
    return found
