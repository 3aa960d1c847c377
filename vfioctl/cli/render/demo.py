"""`vfioctl demo`: the last line; everything before was shown while it ran."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vfioctl.cli.render.tables import seconds


def view(data: Mapping[str, Any]) -> Iterator[str]:
    """How it ended."""
    yield ""
    took = seconds(data["seconds"])
    if data["changed"]:
        yield f"After {took}, these are not as they were:"
        yield from (f"  {line}" for line in data["changed"])
    else:
        yield f"After {took}, drivers, modules, units and files are as they were; only the session is gone."
