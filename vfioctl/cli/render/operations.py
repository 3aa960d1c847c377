"""`vfioctl operation …`: what is open, and one with its steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from vfioctl.cli.render.tables import Column, moment, table
from vfioctl.txn.pace import how_far

if TYPE_CHECKING:
    from rich.console import RenderableType

COLUMNS = (
    Column("key", 36), Column("operation", 14), Column("about", 14), Column("stands at", 10), Column("since", 19),
    Column("process", 8),
)  # fmt: skip
STEPS = (Column("step", 30), Column("kind", 16), Column("state", 7), Column("undo", 9), Column("why"))
WITHOUT = {
    "undo": "Without its process it is undone by: vfioctl recover",
    "finish": "Without its process it is finished by: vfioctl recover",
    "return": "Without its process it is taken back by: vfioctl recover",
    "leave": "Without its process only a person may end it.",
}


def view(data: Mapping[str, Any]) -> Iterator[RenderableType]:
    """The list, or that nothing is open."""
    if data["operations"]:
        yield table(COLUMNS, (_row(item) for item in data["operations"]))
        yield from (line for item in data["operations"] if (line := progress(item)))
    else:
        yield "No operation is open."


def one(data: Mapping[str, Any]) -> Iterator[RenderableType]:
    """One operation, each of its steps, and what becomes of it without its process."""
    item = data["operation"]
    at = f"process {item['process']} works on it" if item["process"] else "no process works on it"
    yield f"{item['operation']} {item['subject']}: {item['standing']} since {moment(item['since'])}, {at}"
    if line := progress(item):
        yield line
    yield ""
    yield table(STEPS, ((step["id"], step["kind"], step["state"], step["undo"], step["reason"])
                        for step in item["steps"]))  # fmt: skip
    yield ""
    yield WITHOUT[item["without_process"]]


def progress(item: Mapping[str, Any]) -> str:
    """How far a long step is, in a line; "" where none says so."""
    said = item["progress"]
    if not said:
        return ""
    return f"{item['subject']}: {said['step']}: {how_far(said['done'], said['total'], said['unit'])}"


def _row(item: Mapping[str, Any]) -> tuple[object, ...]:
    process = item["process"] or ("none" if item["unfinished"] else "")
    return (item["key"], item["operation"], item["subject"], item["standing"], moment(item["since"]), process)
