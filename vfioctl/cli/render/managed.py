"""`vfioctl enable` and `disable`: the file, the pinned cards, and the change of the domain as a diff."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vfioctl.result import planned_steps


def view(data: Mapping[str, Any]) -> Iterator[str]:
    """What was done, line by line, or would be."""
    if data.get("dry_run"):
        if "created" not in data:
            yield f"{data['guest']} would no longer be managed."
        yield from planned_steps(data)
        if data["diff"]:
            yield from ("", *str(data["diff"]).split("\n"))
        return
    if data.get("operation") and not data["operation"]["ok"]:
        return
    if "created" in data:
        there = "" if data["created"] else " (was there already)"
        yield f"{data['guest']} is managed by vfioctl: {data['file']}{there}"
        yield from (f"  {item['address']} is pinned as {item['identity']}" for item in data["devices"])
        if data.get("end_session"):
            yield "  the session of a logged-in user may be ended for it"
    else:
        yield f"{data['guest']} is no longer managed."
    if data["diff"] and data.get("shown"):
        yield "The domain was changed as shown."
    elif data["diff"]:
        yield ""
        yield from str(data["diff"]).split("\n")
        yield ""
        yield "The domain was changed as shown." if data["applied"] else "Apply this change to the domain."
