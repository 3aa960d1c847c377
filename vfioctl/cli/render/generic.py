"""What a verb without a view of its own shows: key: value, and a table for each list of objects. Never nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from vfioctl.cli.render.tables import Column, table, words

if TYPE_CHECKING:
    from rich.console import RenderableType


def view(data: Mapping[str, Any]) -> Iterator[RenderableType]:
    """The lines first, then the tables; a table that comes alone has no title."""
    lines = [(key, value) for key, value in _flat(data) if not _is_table(value)]
    tables = [(key, value) for key, value in _flat(data) if _is_table(value)]
    yield from (f"{key}: {_text(value)}" for key, value in lines)
    for key, rows in tables:
        if lines or len(tables) > 1:
            yield f"{key}:"
        yield _table(rows)


def _flat(data: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Each value with its key; an object in an object as "outer.inner"."""
    for key, value in data.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _is_table(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(row, Mapping) for row in value)


def _table(rows: list[Mapping[str, Any]]) -> RenderableType:
    flat = [dict(_flat(row)) for row in rows]
    keys = tuple(dict.fromkeys(key for row in flat for key in row))
    return table(tuple(map(Column, keys)), ([_text(row.get(key)) for key in keys] for row in flat))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return words(f"{key}={_text(item)}" for key, item in _flat(value))
    if isinstance(value, list | tuple):
        return words(map(_text, value))
    return "-" if value is None or value == "" else str(value)
