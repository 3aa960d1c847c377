"""The few shapes that views are made of: a table, a line of words, a time. Imports rich only when a table is wanted."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rich.table import Table


class Column(NamedTuple):
    """A column; `width` fixes it, so that two tables below each other line up. Without one it takes what is left."""

    title: str
    width: int | None = None
    right: bool = False


def table(columns: Sequence[Column], rows: Iterable[Sequence[object]], *, head: bool = True) -> Table:
    """A table without a frame, one line under its head."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, show_header=head, show_edge=False, pad_edge=False,
                 padding=(0, 1, 0, 0), expand=any(column.width is None for column in columns))  # fmt: skip
    for column in columns:
        made.add_column(column.title, width=column.width, ratio=None if column.width else 1, overflow="fold",
                        justify="right" if column.right else "left")  # fmt: skip
    for row in rows:
        made.add_row(*("" if cell is None else str(cell) for cell in row))
    return made


def words(items: Iterable[object], nothing: str = "-") -> str:
    """`items` as one comma-separated text."""
    return ", ".join(str(item) for item in items) or nothing


def seconds(value: float) -> str:
    """A duration as people read it: 0.04 s, 3.2 s, 45 s, 2 min 5 s."""
    if value < 1:
        return f"{value:.2f} s"
    if value < 10:  # noqa: PLR2004 -- below ten seconds the tenth says something
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def moment(epoch: float) -> str:
    """A point in time in local time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(epoch))
