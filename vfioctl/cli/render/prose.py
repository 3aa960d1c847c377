"""A sentence that fits: what does not go into one line goes on below, indented alike. Imports no rich."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, ConsoleOptions, RenderableType

NARROWEST = 24


class Prose:
    """Text with an indent. No word is broken, however long: a path or a command is copied whole."""

    def __init__(self, text: str, indent: str = "") -> None:
        self.text = text
        self.indent = indent

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        yield "\n".join(self.lines(options.max_width))

    def lines(self, room: int) -> list[str]:
        """The lines of at most `room` characters, or of one word."""
        from textwrap import wrap

        return wrap(
            self.text, max(room, NARROWEST), initial_indent=self.indent, subsequent_indent=self.indent,
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
