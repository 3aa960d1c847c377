"""`vfioctl plugins`: one row a plugin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from vfioctl.cli.render.prose import Prose
from vfioctl.cli.render.tables import Column, table, words

if TYPE_CHECKING:
    from rich.console import RenderableType

COLUMNS = (
    Column("plugin", 16), Column("version", 8), Column("state", 14), Column("claims", 14), Column("what it does"),
)  # fmt: skip


def view(data: Mapping[str, Any]) -> Iterator[RenderableType]:
    """The table, and below it why one is broken or what its author can change."""
    rows = data["plugins"]
    yield table(COLUMNS, ((row["name"], row["version"], _state(row), words(row["claims"], "any"), row["summary"])
                          for row in rows))  # fmt: skip
    for row in rows:
        state, _, why = row["status"].partition(": ")
        if why:
            yield f"{row['name']} is {state}: {why}"
        if row.get("note"):
            yield f"{row['name']}: {row['note']}"
        if added := [command["name"] for command in row.get("commands", ()) if command["status"] == "ok"]:
            yield Prose(f"{row['name']} adds: {words(added)}")
        if row.get("disabled_for"):
            yield f"{row['name']} is disabled for {words(row['disabled_for'])}"


def _state(row: Mapping[str, Any]) -> str:
    state = str(row["status"]).partition(":")[0]
    return f"{state}, on demand" if row["opt_in"] and state == "ok" else state
