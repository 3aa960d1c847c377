"""`vfioctl doctor`: a line for each check, and below it what was found, where, and what helps."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

WIDTH = 100
STATES = {None: "ok", "info": "ok, with a note", "warn": "warning", "block": "blocks"}


def view(data: Mapping[str, Any]) -> Iterator[str]:
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


def _checked(checks: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    checks = list(checks)
    width = max(len(check["name"]) for check in checks)
    for check in checks:
        source = "" if check["source"] == "core" else f" ({check['source']})"
        yield f"{check['name']:<{width}}  {STATES[check['worst']]:<15}  {check['summary']}{source}"
        yield from _found(check["findings"])


def _found(findings: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for finding in findings:
        yield f"    [{finding['code']}] {finding['message']}"
        if finding["evidence"]:
            yield f"        seen: {finding['evidence']}"
        if finding["hint"]:
            yield f"        {finding['hint']}"
        if finding["fix"]:
            yield f"        Mend it with: {finding['fix']}"


def _explained(data: Mapping[str, Any]) -> Iterator[str]:
    brought = "" if data["source"] == "core" else f" (plugin {data['source']})"
    yield f"{data['code']}{brought}"
    yield f"    What it means: {data['meaning']}"
    yield from textwrap.wrap(data["at_length"], WIDTH, initial_indent="    ", subsequent_indent="    ")
    yield f"    What to do: {data['remedy']}"
    yield "It is found here:" if data["findings"] else "It is not found here now."
    yield from _found(data["findings"])
