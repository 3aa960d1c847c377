"""Writes a result to the terminal or the pipe, as text or JSON, and live lines while something runs."""

from __future__ import annotations

import errno
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TextIO

from vfioctl import stdio
from vfioctl.cli.render import generic
from vfioctl.cli.render.grid import Grid
from vfioctl.cli.render.prose import Prose
from vfioctl.cli.render.tables import Column, table
from vfioctl.log import plain
from vfioctl.result import Message, Table
from vfioctl.verbs.load import load_view

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from vfioctl.result import Error, Result
    from vfioctl.verbs.row import Row

PIPE_WIDTH = 100
# What has lines; in any other value a line break would fake a row.
TEXTS = frozenset({"diff", "script", "stderr", "stdout", "xml"})
GONE = (errno.EPIPE, errno.EIO)  # nobody reads: `| head`, or a terminal whose session has ended
MARKS = {"error": "31;1", "warning": "33;1", "next": "36"}


class Output:
    """Shows results. `color` None: on a terminal only. `width` in characters, None: the terminal's, else PIPE_WIDTH."""

    def __init__(
        self, form: str, stdout: TextIO, stderr: TextIO, *, color: bool | None = None, width: int | None = None
    ) -> None:
        self.form = form
        self.stdout = stdout
        self.stderr = stderr
        self.color = color
        self.width = width
        self.lost: OSError | None = None  # why stdout no longer takes what is shown; a reader that has gone is no loss

    def result(self, result: Result, row: Row | None = None) -> None:
        """Show `result`, once; the view of `row` makes text of its data; without one the generic view does."""
        if self.form == "json":
            self._write(self.stdout, json.dumps(result.envelope(), indent=2, default=str) + "\n")
            return
        self._write(self.stdout, self._body(result, row))
        for message in result.messages:
            self._message(message)
        for error in result.errors:
            self.error(error)

    def line(self, text: str) -> None:
        """Show one live line; nothing in JSON, whose envelope comes once and at the end."""
        if self.form != "json":
            self._write(self.stdout, plain(text) + "\n")

    def show(self, view: Iterable[RenderableType | Table]) -> None:
        """Show a view beside the result, while something is still running."""
        if self.form != "json":
            self._write(self.stdout, self._render(view))

    def relay(self, out: str, err: str) -> None:
        """Pass on what another process of ours has rendered already."""
        if out:
            self._write(self.stdout, out)
        if err:
            self._write(self.stderr, err)

    # ---------------------------------------------------------------- parts

    def _body(self, result: Result, row: Row | None) -> str:
        if not result.data:
            return ""
        data = clean(result.data)
        try:
            return self._render(((row and load_view(row)) or generic.view)(data))
        except (Exception, SystemExit) as error:
            if row is None or not row.plugin:
                raise
            why = "it calls sys.exit" if isinstance(error, SystemExit) else error
            said = f"{row.name!r} is shown plainly, since its view failed: {why}"
            self._message(Message(said, "warning", "plugin.command_broken"))
            return self._render(generic.view(data))

    def _render(self, view: Iterable[RenderableType | Table]) -> str:
        """The view as text; rich is imported only when a part of it is more than a line."""
        parts = (view,) if isinstance(view, str) else tuple(self._plain(map(drawn, view)))
        if all(isinstance(part, str) for part in parts):
            return "".join(f"{part}\n" for part in parts)
        console = self._console()
        for part in parts:
            console.print(part, soft_wrap=isinstance(part, str))
        lines = console.file.getvalue().split("\n")  # type: ignore[attr-defined] # it is the StringIO of _console
        return "\n".join(line.rstrip() for line in lines)

    def _plain(self, parts: Iterable[RenderableType]) -> Iterator[RenderableType]:
        """`parts`, with the lines in place of each one that needs neither colors nor rich."""
        known = Prose if self._is_colored(self.stdout) else (Prose, Grid)
        for part in parts:
            lines = part.lines(self._width) if isinstance(part, known) else None
            yield from (part,) if lines is None else lines

    @property
    def _width(self) -> int:
        return self.width or _terminal_width(self.stdout)

    def _console(self) -> Console:
        from rich.console import Console

        colored = self._is_colored(self.stdout)
        return Console(
            file=io.StringIO(),
            width=self._width,
            color_system="standard" if colored else None,
            force_terminal=colored,
            no_color=not colored,
            highlight=False, markup=False, emoji=False, legacy_windows=False,
        )  # fmt: skip

    def _message(self, message: Message) -> None:
        if message.level == "info":
            self._write(self.stdout, f"{plain(message.text)}\n")
        else:
            code = f" [{plain(message.code)}]" if message.code else ""
            self._write(self.stderr, f"{self._mark('warning')} {plain(message.text)}{code}\n")
        if message.hint:
            self._hint(self.stdout if message.level == "info" else self.stderr, message.hint)

    def error(self, error: Error) -> None:
        """Show a failure on stderr, whatever the format."""
        self._write(self.stderr, f"{self._mark('error')} {plain(error.message)} [{plain(error.code)}]\n")
        if error.state:
            self._write(self.stderr, f"  {plain(error.state)}\n")
        for hint in error.hints:
            self._hint(self.stderr, hint)

    def _hint(self, stream: TextIO, hint: str) -> None:
        self._write(stream, f"  {plain(hint)}\n")

    def _mark(self, word: str) -> str:
        return f"\x1b[{MARKS[word]}m{word}:\x1b[0m" if self._is_colored(self.stderr) else f"{word}:"

    def _is_colored(self, stream: TextIO) -> bool:
        return stream.isatty() if self.color is None else self.color

    def _write(self, stream: TextIO, text: str) -> None:
        """Write at once; a reader that has gone (`| head`) is no failure of ours."""
        encoding = stream.encoding or "utf-8"
        try:
            stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            stream.flush()
        except OSError as error:  # the work goes on
            if stream is self.stdout and error.errno not in GONE:
                self.lost = error
            stdio.discard(stream.fileno())


def drawn(part: RenderableType | Table) -> RenderableType:
    """What rich can print of a part of a view."""
    return table(tuple(map(Column, part.heads)), part.rows) if isinstance(part, Table) else part


def _terminal_width(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or PIPE_WIDTH
    except (OSError, ValueError):
        return PIPE_WIDTH


def clean(value: Any) -> Any:
    """`value` with every string made harmless for a terminal: names come from hardware and other users.

    `diff`, `script`, `stderr`, `stdout` and `xml` keep their lines.
    """
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, Mapping):
        return {clean(key): _lines(item) if key in TEXTS else clean(item) for key, item in value.items()}
    return [clean(item) for item in value] if isinstance(value, list | tuple) else value


def _lines(value: Any) -> Any:
    return "\n".join(map(plain, value.split("\n"))) if isinstance(value, str) else clean(value)
