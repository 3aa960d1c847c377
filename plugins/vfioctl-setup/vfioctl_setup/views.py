"""The set-up as text: how each part is, what would differ, and what is left to a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfioctl.plugin import planned_steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any


def shown(data: Mapping[str, Any]) -> Iterator[str]:
    """The parts, then the differences and steps of a dry run; or that it is done, and what is left to a person."""
    done = (data["operation"] or {}).get("ok")
    yield from row_lines(row for row in data["parts"] if row["lines"] or not done)
    yield from (f"{path} stays as somebody has edited it." for path in data.get("left", ()))
    if data["dry_run"]:
        for change in data["changes"]:
            yield f"{change['path']} would be {change['becomes']}:"
            yield from change["difference"].splitlines()
        if data["steps"]:
            yield from planned_steps(data)
        if data["changes"]:
            return
    if not data["changes"] and not data.get("left"):
        yield "There is nothing to take back." if data["undo"] else "Nothing is to be changed from here."
    elif done:
        how = "put back" if data["undo"] else "done"
        yield f"It is {how}: {', '.join(change['path'] for change in data['changes'])}."


def row_lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each part; below it what only a person does."""
    wanted = list(rows)
    widest = max((len(row["part"]) for row in wanted), default=0)
    for row in wanted:
        yield f"{row['part']:<{widest}}  {row['state']:<7}  {row['detail']}"
        if row["lines"]:
            yield f"  {row['where']}:"
            yield from (f"    {line}" for line in row["lines"])
