"""`vfioctl doctor`: a line for each check, and below it what was found, where, and what helps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vfioctl.cli.render.prose import Prose
from vfioctl.cli.render.tables import Column, table

if TYPE_CHECKING:
    from rich.console import RenderableType

COLUMNS = (Column("check", 27), Column("state", 15), Column("about"))
ONE, TWO = "    ", "        "  # indents
STATES = {None: "ok", "info": "ok, with a note", "warn": "warning", "block": "blocks"}


def view(data: Mapping[str, Any]) -> Iterator[RenderableType]:
    """The checks, with what was mended before; what was taken back; what one code means; or where the report is."""
    if "code" in data or "file" in data:
        yield from _explained(data) if "code" in data else _reported(data)
        return
    yield from _mended(data.get("fixed", ()))
    yield from _checked(data["checks"]) if "checks" in data else _taken_back(data)


def _mended(fixes: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for fix in fixes:
        files = ", ".join(change["path"] for change in fix["changes"])
        yield f"[{fix['code']}] {': '.join(filter(None, (fix['state'], files, fix['why'])))}"
        if fix["state"] == "would be done":
            yield from (line for change in fix["changes"] for line in change["difference"].splitlines())


def _taken_back(data: Mapping[str, Any]) -> Iterator[str]:
    if not data["changes"] and not data["left"]:
        yield "There is nothing to take back."
    would = "would be " if data["dry_run"] else ""
    yield from (f"{change['path']}: {would}put back as it was." for change in data["changes"])
    yield from (f"{path} stays as somebody has edited it." for path in data["left"])


def _reported(data: Mapping[str, Any]) -> Iterator[str]:
    yield f"{data['file']} is written ({data['bytes']} bytes)."
    if data["redacted"]:
        counted = ", ".join(f"{count} {kind}" for kind, count in data["redacted"].items())
        yield f"Taken out: {counted}. The same thing has the same name wherever it stood."


def _checked(checks: Sequence[Mapping[str, Any]]) -> Iterator[RenderableType]:
    rows = [_row(check) for check in checks]
    for row, check in zip(rows, checks, strict=True):
        yield table(COLUMNS, (row,), head=False, like=rows)
        yield from _found(check["findings"])


def _row(check: Mapping[str, Any]) -> tuple[str, str, str]:
    source = "" if check["source"] == "core" else f" ({check['source']})"
    return check["name"], STATES[check["worst"]], f"{check['summary']}{source}"


def _found(findings: Iterable[Mapping[str, Any]]) -> Iterator[Prose]:
    for finding in findings:
        yield Prose(f"[{finding['code']}] {finding['message']}", ONE)
        if finding["evidence"]:
            yield Prose(f"seen: {finding['evidence']}", TWO)
        if finding["hint"]:
            yield Prose(finding["hint"], TWO)
        if finding["fix"]:
            yield Prose(f"Mend it with: {finding['fix']}", TWO)


def _explained(data: Mapping[str, Any]) -> Iterator[RenderableType]:
    brought = "" if data["source"] == "core" else f" (plugin {data['source']})"
    yield f"{data['code']}{brought}"
    yield Prose(f"What it means: {data['meaning']}", ONE)
    yield Prose(data["at_length"], ONE)
    yield Prose(f"What to do: {data['remedy']}", ONE)
    yield "It is found here:" if data["findings"] else "It is not found here now."
    yield from _found(data["findings"])
