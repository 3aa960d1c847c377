"""`vfioctl recover` and `vfioctl rescue`: what was done for each guest, and where the time went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from vfioctl.cli.render.waterfall import waterfall
from vfioctl.shell import word

if TYPE_CHECKING:
    from rich.console import RenderableType


def view(data: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Each hand-off that was looked at, or the one that was put aside."""
    if "discarded" in data:
        from vfioctl.actions.discarding import lines

        yield from lines(dict(data["discarded"]))
        return
    if not data["recovered"]:
        yield "Nothing is unfinished."
    for guest in data.get("settled", ()):
        yield f"The last failure of {guest} is dealt with; it stays in: vfioctl history --guest {word(guest)}"
    for row in data["recovered"]:
        if row["said"]:
            yield row["said"]
        if row["steps"]:
            yield ""
            yield from waterfall(row["steps"], 0.0)


def rescued(data: Mapping[str, Any]) -> Iterator[str]:
    """What was run and started."""
    yield from (f"ran {item['script']}: {'done' if item['ok'] else 'failed'}" for item in data["scripts"])
    yield from (f"started {name}" for name in data["started"])
