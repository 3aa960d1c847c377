"""Where the time of a hand-off went: one bar a step, placed at the time when it began."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vfioctl.cli.render.tables import Bar, Column, seconds, table

if TYPE_CHECKING:
    from rich.console import RenderableType

BAR = 34
SYSFS = "/sys/bus/pci/devices/"
COLUMNS = (Column("step", 43), Column("time", BAR), Column("took", 8, right=True), Column("said"))


def waterfall(steps: Sequence[Mapping[str, Any]], duration: float) -> Iterator[RenderableType]:
    """The bars of `steps` on one scale of `duration` seconds."""
    ends = [step["started_offset"] + step["duration"] for step in steps]
    whole = max([duration, *ends, 0.001])
    yield table(COLUMNS, ((_name(step), bar(step, whole), seconds(step["duration"]), _said(step)) for step in steps))


def bar(step: Mapping[str, Any], whole: float) -> Bar:
    """The bar of one step."""
    start = step["started_offset"]
    return Bar(start / whole, (start + step["duration"]) / whole)


def _name(step: Mapping[str, Any]) -> str:
    return str(step["id"]).replace(SYSFS, "").removesuffix(".service")


def _said(step: Mapping[str, Any]) -> str:
    """One word: what a step that did nothing has said stands in the record."""
    outcome = str(step["outcome"])
    return "" if outcome == "done" else "failed" if outcome.startswith("failed") else "no-op"
