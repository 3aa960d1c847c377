"""`vfioctl history`: the past hand-offs, or one with its waterfall."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from vfioctl.cli.render.tables import Column, moment, seconds, table
from vfioctl.cli.render.waterfall import waterfall

if TYPE_CHECKING:
    from rich.console import RenderableType

COLUMNS = (
    Column("id", 26), Column("guest", 14), Column("event", 8), Column("when", 19), Column("took", 10, right=True),
    Column("end", 9),
)  # fmt: skip


def view(data: Mapping[str, Any]) -> Iterator[RenderableType]:
    """The list, or the one that was asked for."""
    if "hand_off" in data:
        yield from one(data["hand_off"])
    elif data["hand_offs"]:
        yield table(COLUMNS, (_row(item) for item in data["hand_offs"]))
    else:
        yield "No hand-off is on record."


def one(item: Mapping[str, Any]) -> Iterator[RenderableType]:
    """One hand-off: what, when, how it ended, and where the time went."""
    when, took = moment(item["started"]), seconds(item["duration"])
    yield f"{item['id']}: {item['event']} of {item['guest']} at {when}, {_end(item)} after {took}"
    if item["message"]:
        yield item["message"]
    if item["steps"]:
        yield ""
        yield from waterfall(item["steps"], item["duration"])


def _row(item: Mapping[str, Any]) -> tuple[object, ...]:
    when, took = moment(item["started"]), seconds(item["duration"])
    return (item["id"], item["guest"].removeprefix("guest:"), item["event"], when, took, _end(item))


def _end(item: Mapping[str, Any]) -> str:
    return str(item["outcome"])
