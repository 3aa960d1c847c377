"""`vfioctl verb list`: one row a verb."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from vfioctl.cli.render.tables import Column, table

if TYPE_CHECKING:
    from rich.console import RenderableType

COLUMNS = (Column("verb", 24), Column("effect", 8), Column("what it does"))


def view(data: Mapping[str, Any]) -> Iterator[RenderableType]:
    """The table, and below it why one cannot be run."""
    yield table(COLUMNS, ((row["name"], row["effect"], row["help"]) for row in data["verbs"]))
    for row in data["verbs"]:
        if row["error"]:
            yield f"{row['name']}: {row['error']['message']}"
