"""A table that fits: its columns take what their words need; where that is too much, each row becomes a few lines.

Nothing is dropped, and no word is broken: an address in two parts is of no use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType

LONGEST_WORD = 44  # longer ones are folded: a path, a command
COMFORT = 16  # a column without a width of its own is read with difficulty below this
GAP = 2  # characters between two columns
LONGEST_BAR = 200
INDENT = "   "
FULL, THIN = "█", "▏"
SHORTEST_BAR = 10
STYLES: Mapping[str, str] = {
    "done": "green", "ok": "green", "exact": "green", "running": "green", "recreated": "yellow", "refused": "yellow",
    "disabled": "yellow", "unfinished": "red", "never": "red", "failed": "red", "stuck": "red", "broken": "red",
}  # fmt: skip


class Column(NamedTuple):
    """A column; `width` is the most that it takes unless one word is longer. Without one it takes what is left."""

    title: str
    width: int | None = None
    right: bool = False


class Bar(NamedTuple):
    """A part of a row of time, both ends between 0 and 1."""

    start: float
    end: float

    def drawn(self, width: int) -> str:
        """As text; what is too short for a block is a thin line."""
        first = min(width - 1, int(self.start * width))
        length = min(width - first, round((self.end - self.start) * width))
        return " " * first + (FULL * length or THIN)


Row = Sequence[object]


class Grid:
    """A table for rich. `like` are the rows of all tables that should have columns of the same widths."""

    def __init__(self, columns: Sequence[Column], rows: Sequence[Row], *, head: bool, like: Sequence[Row]) -> None:
        self.columns = columns
        self.rows = rows
        self.head = head
        self.like = like

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        widths = fitted(self.columns, self.like, options.max_width)
        if widths is None:
            yield from self._naming()
            yield from (part for row in self.rows for part in self._stacked(row, options.max_width))
        else:
            yield self._table(widths)

    def lines(self, room: int) -> list[str] | None:
        """The same without colors, where each cell fits into one line; None where rich has to fold one or stack rows.

        It takes a twentieth of the time.
        """
        widths = fitted(self.columns, self.like, room) if self.rows else None
        if widths is None or not all(all(map(_fits, row, widths)) for row in self.rows):
            return None
        head = [self._line([column.title for column in self.columns], widths)] if self.head else []
        rule = ["─" * (sum(widths) + GAP * (len(widths) - 1))] if self.head else []
        return [*head, *rule, *(self._line(row, widths) for row in self.rows)]

    def _line(self, row: Row, widths: Sequence[int]) -> str:
        cells = []
        for cell, column, width in zip(row, self.columns, widths, strict=True):
            shown = text(cell).rstrip() if column.right else text(cell)
            blank = " " * (width - _length(shown))
            cells.append(f"{blank}{shown}" if column.right else f"{shown}{blank}")
        return (" " * GAP).join(cells).rstrip()

    def _table(self, widths: Sequence[int]) -> RenderableType:
        from rich import box
        from rich.table import Table

        made = Table(box=box.SIMPLE_HEAD, show_header=self.head, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
        for column, width in zip(self.columns, widths, strict=True):
            made.add_column(column.title, width=width, overflow="fold", justify="right" if column.right else "left")
        for row in self.rows:
            made.add_row(*(_styled(cell, width) for cell, width in zip(row, widths, strict=True)))
        return made

    @property
    def _named(self) -> int:
        """How many columns name a row: a number alone does not."""
        return 2 if self.columns[0].right else 1

    def _naming(self) -> Iterator[RenderableType]:
        """What is left of the head above rows of a few lines: it may be all that tells two tables apart."""
        if self.head and (title := "  ".join(column.title for column in self.columns[:self._named]).strip()):
            yield title

    def _stacked(self, row: Row, room: int) -> Iterator[RenderableType]:
        """The row as its name and a line for each further column."""
        from rich.table import Table
        from rich.text import Text

        named = self._named
        yield Text("  ".join(text(cell) for cell in row[:named]), style="bold")
        titles = [INDENT + column.title for column in self.columns[named:]]
        room -= max(map(len, titles), default=0) + 2
        lines = Table.grid(padding=(0, 2, 0, 0))
        lines.add_column(no_wrap=True)
        lines.add_column(overflow="fold")
        for title, cell in zip(titles, row[named:], strict=True):
            if text(cell):
                lines.add_row(title, _styled(cell, max(room, 1)))
        yield lines


def fitted(columns: Sequence[Column], rows: Sequence[Row], room: int) -> list[int] | None:
    """The width of each column; None when not even their longest words fit into `room`."""
    cells = [[column.title, *(row[index] for row in rows)] for index, column in enumerate(columns)]
    words = [max(map(_longest_word, column)) for column in cells]
    whole = [max(map(_length, column)) for column in cells]
    most = [min(all_of_it, max(column.width or all_of_it, word))
            for column, all_of_it, word in zip(columns, whole, words, strict=True)]  # fmt: skip
    least = [word if column.width else max(word, min(all_of_it, COMFORT))
             for column, all_of_it, word in zip(columns, whole, words, strict=True)]  # fmt: skip
    room -= GAP * (len(columns) - 1)
    if sum(least) > room:
        return None
    for elastic in (True, False):  # columns without a width of their own give way first
        for index, column in enumerate(columns):
            if (column.width is None) is elastic:
                most[index] = max(least[index], most[index] - max(0, sum(most) - room))
    return most


def text(cell: object) -> str:
    """A cell as text; a bar has none."""
    return "" if cell is None or isinstance(cell, Bar) else str(cell)


def _styled(cell: object, width: int) -> RenderableType:
    from rich.text import Text

    if isinstance(cell, Bar):
        return cell.drawn(width)
    said = text(cell)
    return Text(said, style=STYLES.get(said, ""))


def _fits(cell: object, width: int) -> bool:
    return not isinstance(cell, Bar) and "\n" not in text(cell) and _length(cell) <= width


def _length(cell: object) -> int:
    """In columns of a terminal."""
    if isinstance(cell, Bar):
        return LONGEST_BAR
    said = text(cell)
    if said.isascii() and said.isprintable():
        return len(said)
    from rich.cells import cell_len

    return cell_len(said)


def _longest_word(cell: object) -> int:
    if isinstance(cell, Bar):
        return SHORTEST_BAR
    return min(LONGEST_WORD, max(map(_length, text(cell).split()), default=0))
