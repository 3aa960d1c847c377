"""A click group that knows its commands by their rows and imports one only to run it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from vfioctl.cli.options import shared_options
from vfioctl.errors import VfioctlError
from vfioctl.unknown import suggestion
from vfioctl.verbs.load import given_back, load
from vfioctl.verbs.row import Group, Row, Verbs, last_word
from vfioctl.verbs.table import BUILT_IN

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

UNREAD = "Commands of plugins may be missing here: {}. Search for them with: sudo vfioctl plugins refresh"


class LazyGroup(click.Group):
    """The group `path`, "" for the root; help and completion come from the rows, so they import no command."""

    def __init__(self, *args: Any, path: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.path = path
        self.made: dict[Row | Group, click.Command] = {}  # click asks for a command more than once

    def table(self, ctx: click.Context) -> tuple[Row | Group, ...]:
        """The commands and groups of this group; hidden ones too."""
        return _verbs(ctx).below(self.path)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name, _ in self._shown(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = self._entry(ctx, cmd_name)
        if entry is None and ctx.obj and not ctx.resilient_parsing and not cmd_name.startswith("-"):
            ctx.obj.verbs = ctx.obj.found
            entry = self._entry(ctx, cmd_name)
        if entry is None:
            return None
        try:
            return self.made.get(entry) or self.made.setdefault(entry, made(entry))
        except VfioctlError:
            if ctx.resilient_parsing:  # a word is being completed: then it has nothing to offer
                return None
            raise

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it; an unknown command is answered with the nearest one that there is."""
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(f"There is no command {args[0]!r}{self._nearest(ctx, args[0]) or '.'}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(self._shown(ctx))
        if not self.path and ctx.obj and ctx.obj.unread:
            formatter.write_paragraph()
            with formatter.indentation():
                formatter.write_text(UNREAD.format(ctx.obj.unread))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem  # a help page completes nothing

        mine = [CompletionItem(name, help=text) for name, text in self._shown(ctx) if name.startswith(incomplete)]
        return [*mine, *click.Command.shell_complete(self, ctx, incomplete)]

    def _entry(self, ctx: click.Context, word: str) -> Row | Group | None:
        return next((entry for entry in self.table(ctx) if last_word(entry) == word), None)

    def _shown(self, ctx: click.Context) -> list[tuple[str, str]]:
        entries = self.table(ctx)
        return [(last_word(entry), entry.help) for entry in entries if not (isinstance(entry, Row) and entry.hidden)]

    def _nearest(self, ctx: click.Context, word: str) -> str:
        """`; did you mean "X"?`, where X is near, another word for it, or the same verb in one of the groups."""
        from vfioctl.cli.words import absent, ours  # only when something is already wrong

        if why := absent(self.path, word, _verbs(ctx)):
            return why
        rows = () if self.path else _verbs(ctx).rows
        inner = {last_word(row): row.name for row in rows if " " in row.name and not row.hidden}
        if said := ours(self.path, word, _verbs(ctx)) or inner.get(word):
            return f'; did you mean "{said}"?'
        return suggestion(word, self.list_commands(ctx))


def _verbs(ctx: click.Context) -> Verbs:
    found: Verbs = getattr(ctx.obj, "verbs", BUILT_IN)
    return found


def made(entry: Row | Group) -> click.Command:
    """The command of a row, with what the command line adds to every verb, or the group. Raises as `load` does."""
    if isinstance(entry, Group):
        return LazyGroup(last_word(entry), path=entry.name, params=shared_options(), help=entry.help)
    import copy

    command = copy.copy(load(entry))
    command.name = last_word(entry)
    own = {param.name for param in command.params}
    command.params = [*command.params, *(option for option in shared_options() if option.name not in own)]
    command.callback = _announced(entry, command.callback)
    return command


def _nothing() -> None:
    """The body of a command that has none."""


def _announced(row: Row, body: Callable[..., Any] | None) -> Callable[..., Any]:
    """`body`, before which the App hears which verb is run."""

    def run(*args: Any, **kwargs: Any) -> Any:
        click.get_current_context().obj.begin(row)
        called = partial(body or _nothing, *args, **kwargs)
        return given_back(row, called) if row.plugin and not row.prints else called()

    return run
