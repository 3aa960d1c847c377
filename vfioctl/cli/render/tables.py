"""The few shapes that views are made of: a table, a line of words, a time. Imports no rich."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from vfioctl.cli.render.grid import Bar, Column, Grid, Row

__all__ = ["Bar", "Column", "moment", "seconds", "table", "words"]


def table(
    columns: Sequence[Column], rows: Iterable[Row], *, head: bool = True, like: Iterable[Row] | None = None
) -> Grid:
    """A table without a frame, one line under its head. `like`: the rows of every table that it should line up with."""
    shown = tuple(rows)
    return Grid(columns, shown, head=head, like=shown if like is None else tuple(like))


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
