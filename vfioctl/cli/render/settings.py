"""`vfioctl config`: settings as a table, one value, and the files that were checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from vfioctl.cli.render.tables import Column, table, words

if TYPE_CHECKING:
    from rich.console import RenderableType

COLUMNS = (Column("setting", 32), Column("value", 24))


def show(data: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Every setting, with its origin when that was asked for, else with what it means."""
    last = Column("origin") if data["origin"] else Column("what it means")
    key = "origin" if data["origin"] else "summary"
    yield table((*COLUMNS, last), ((row["path"], text(row["value"]), row[key]) for row in data["settings"]))


def one(data: Mapping[str, Any]) -> Iterator[str]:
    """The bare value, for scripts."""
    yield text(data["value"])


def validated(data: Mapping[str, Any]) -> Iterator[str]:
    if data["files"]:
        yield f"Checked: {words(data['files'])}"
    else:
        yield "There is no configuration file: the defaults count."


def text(value: object) -> str:
    """A value as it is written on the command line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(str(item) for item in value)
    if isinstance(value, dict):
        return ",".join(f"{key}={item}" for key, item in value.items())
    return f"{value:g}" if isinstance(value, float) else "" if value is None else str(value)
