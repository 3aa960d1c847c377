"""How the verbs look on a terminal: lines made from the data and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vfioctl.plugin import as_size

WIDEST = 40
VERBS = {
    "create": "is made and active", "start": "is active", "stop": "is stopped", "delete": "is known no more",
}  # fmt: skip


def pools(data: Mapping[str, Any]) -> Iterator[str]:
    """One line a pool."""
    rows = [
        (one["name"], one["state"], "yes" if one["autostart"] else "no", one["kind"], _room(one), str(one["volumes"]),
         one["path"]) for one in data["pools"]
    ]  # fmt: skip
    if not rows:
        yield "There are no pools."
        return
    yield from _of_nodes(data, "pools", ("NAME", "STATE", "AUTOSTART", "KIND", "FREE", "VOLUMES", "PATH"), rows)


def _of_nodes(
    data: Mapping[str, Any], key: str, heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]
) -> Iterator[str]:
    """A table, whose lines begin with their node where several were asked."""
    if len(data.get("nodes", ())) > 1:
        heads = ("NODE", *heads)
        rows = [(one["node"], *line) for one, line in zip(data[key], rows, strict=True)]
    return table(heads, rows)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns as wide as they need to be; the last one as it is."""
    lines = [heads, *rows]
    widths = [min(WIDEST, max(len(line[column]) for line in lines)) for column in range(len(heads) - 1)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=False))
        yield "  ".join((*cells, line[-1])).rstrip()


def _room(pool: Mapping[str, Any]) -> str:
    return f"{as_size(pool['available'])} of {as_size(pool['capacity'])}" if pool["capacity"] else "-"


def pool(data: Mapping[str, Any]) -> Iterator[str]:
    """A pool with all that is known of it."""
    one = data["pool"]
    yield f"{one['name']}: {one['kind']}, {one['state']}"
    yield f"  path       {one['path']}"
    if one["source"]:
        yield f"  source     {one['source']}"
    yield f"  free       {_room(one)}"
    yield f"  volumes    {one['volumes']}"
    yield f"  autostart  {'yes' if one['autostart'] else 'no'}"
    yield f"  uuid       {one['uuid']}"
    yield f"  guests     {', '.join(one['guests']) or 'none'}"


def changed(data: Mapping[str, Any]) -> Iterator[str]:
    """What was done, or would be."""
    if data["dry_run"]:
        yield "Would be done, in this order:"
        yield from (f"  {step['kind']:<15} {step['resource']}: {step['reason']}" for step in data["steps"])
        return
    if data["operation"] and data["operation"]["ok"]:
        verb, name = data["operation"]["operation"].removeprefix("pool "), data["pool"]["name"]
        yield f"The pool {name} {VERBS.get(verb) or _autostart(data)}."


def _autostart(data: Mapping[str, Any]) -> str:
    return f"{'no longer starts' if data['pool']['autostart'] else 'starts'} with its host"


def volumes(data: Mapping[str, Any]) -> Iterator[str]:
    """One line a volume."""
    rows = [
        (one["pool"], one["name"], one["format"] or one["kind"], as_size(one["capacity"]), as_size(one["allocation"]),
         one["backing"] or "-") for one in data["volumes"]
    ]  # fmt: skip
    if not rows:
        yield "There are no volumes."
        return
    yield from _of_nodes(data, "volumes", ("POOL", "NAME", "FORMAT", "SIZE", "USED", "ABOVE"), rows)


def volume(data: Mapping[str, Any]) -> Iterator[str]:
    """A volume with all that is known of it."""
    one = data["volume"]
    yield f"{one['name']} in {one['pool']}: {one['format'] or one['kind']}"
    yield f"  path     {one['path']}"
    yield f"  size     {as_size(one['capacity'])}, {as_size(one['allocation'])} used"
    if one["backing"]:
        yield f"  over     {one['backing']} ({one['backing_format']})"
    for path in one["above"]:
        yield f"  below    {path}"
    yield f"  guests   {', '.join(_states(one)) or 'none'}"


def _states(one: Mapping[str, Any]) -> Iterator[str]:
    for name in one["guests"]:
        yield f"{name} ({'running' if name in one['running'] else 'saved' if name in one['saved'] else 'off'})"


def volume_changed(data: Mapping[str, Any]) -> Iterator[str]:
    """What was done to a volume, or would be."""
    if data["dry_run"]:
        yield from changed(data)
    elif data["operation"] and data["operation"]["ok"]:
        verb, one = data["operation"]["operation"].removeprefix("volume "), data["volume"]
        yield f"The volume {one['name']} in pool {one['pool']} {_done(verb, one)}."


def _done(verb: str, one: Mapping[str, Any]) -> str:
    if verb == "delete":
        return "is removed"
    if verb == "upload":
        return f"is made of {one['source']}: {one['format']}, {as_size(one['capacity'])}"
    if verb == "download":
        return f"is copied to {one['file']}"
    if verb == "clone":
        return f"lies above {one['source']}" if one["linked"] else f"is a copy of {one['source']}"
    if verb == "resize":
        return f"has {as_size(one['capacity'])}, before {as_size(one['former'])}"
    return f"is made: {one['format']}, {as_size(one['capacity'])}"


def templates(data: Mapping[str, Any]) -> Iterator[str]:
    """One line a template."""
    rows = [
        (one["name"], one["pool"], one["os"] or "-", as_size(one["size"]) if one["size"] else "-",
         one["created"] or "-", one["problem"] or one["description"] or "-") for one in data["templates"]
    ]  # fmt: skip
    if not rows:
        yield "There are no templates."
        return
    yield from _of_nodes(data, "templates", ("NAME", "POOL", "OS", "SIZE", "ADDED", ""), rows)


def template(data: Mapping[str, Any]) -> Iterator[str]:
    """A template with all that is known of it."""
    one = data["template"]
    yield f"{one['name']} in {one['pool']}: {one['problem'] or one['format']}"
    yield f"  image    {one['path'] or 'gone'}"
    for key in ("size", "sha256", "created", "os", "source", "description"):
        if one[key]:
            yield f"  {key:<8} {as_size(one[key]) if key == 'size' else one[key]}".rstrip()
    if one["tags"]:
        yield f"  tags     {', '.join(one['tags'])}"
    for path in one.get("above", ()):
        yield f"  below    {path}"
    if one.get("guests"):
        yield f"  guests   {', '.join(one['guests'])}"


def template_changed(data: Mapping[str, Any]) -> Iterator[str]:
    """What was done to a template, or would be."""
    if data["dry_run"]:
        yield from changed(data)
    elif data["operation"] and data["operation"]["ok"]:
        one, gone = data["template"], data["operation"]["operation"] == "template delete"
        yield f"The template {one['name']} {'is removed' if gone else 'is made in pool ' + one['pool']}."
