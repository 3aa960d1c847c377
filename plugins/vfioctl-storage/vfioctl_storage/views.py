"""How the verbs look on a terminal: lines made from the data and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vfioctl.plugin import Table, as_size, listing, planned_steps

POOLS = ("name", "state", "autostart", "kind", "free", "volumes", "path")
VOLUMES = ("pool", "name", "format", "size", "used", "above")
TEMPLATES = ("name", "pool", "os", "size", "added", "about")
SOURCES = ("name", "system", "version", "architecture", "from", "plugin")
COLUMN = 60  # characters
VERBS = {
    "create": "is made and active", "start": "is active", "stop": "is stopped", "delete": "is known no more",
}  # fmt: skip


def pools(data: Mapping[str, Any]) -> Iterator[str | Table]:
    """One row a pool."""
    yield listing(data, "pools", POOLS, _pool) if data["pools"] else "There are no pools."


def _pool(one: Mapping[str, Any]) -> tuple[str, ...]:
    starts = "yes" if one["autostart"] else "no"
    return one["name"], one["state"], starts, one["kind"], _room(one), str(one["volumes"]), one["path"]


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
        yield from planned_steps(data)
        return
    if data["operation"] and data["operation"]["ok"]:
        verb, name = data["operation"]["operation"].removeprefix("pool "), data["pool"]["name"]
        yield f"The pool {name} {VERBS.get(verb) or _autostart(data)}."


def _autostart(data: Mapping[str, Any]) -> str:
    return f"{'no longer starts' if data['pool']['autostart'] else 'starts'} with its host"


def volumes(data: Mapping[str, Any]) -> Iterator[str | Table]:
    """One row a volume."""
    yield listing(data, "volumes", VOLUMES, _volume) if data["volumes"] else "There are no volumes."


def _volume(one: Mapping[str, Any]) -> tuple[str, ...]:
    sizes = as_size(one["capacity"]), as_size(one["allocation"])
    return one["pool"], one["name"], one["format"] or one["kind"], *sizes, one["backing"] or "-"


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
    for snapshot in one["snapshots"]:
        yield f"  needed   {snapshot}"
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
    if verb == "compact":
        return _compacted(one)
    if verb == "resize":
        return f"has {as_size(one['capacity'])}, before {as_size(one['former'])}"
    return f"is made: {one['format']}, {as_size(one['capacity'])}"


def _compacted(one: Mapping[str, Any]) -> str:
    if not one["freed"]:
        return f"takes no less room when it is written anew, and stays as it was: {as_size(one['former'])}"
    sizes = f"takes {as_size(one['allocation'])}, before {as_size(one['former'])}"
    return f"{sizes}: {as_size(one['freed'])} came back"


def templates(data: Mapping[str, Any]) -> Iterator[str | Table]:
    """One row a template."""
    yield listing(data, "templates", TEMPLATES, _template) if data["templates"] else "There are no templates."


def _template(one: Mapping[str, Any]) -> tuple[str, ...]:
    size, more = as_size(one["size"]) if one["size"] else "-", one["problem"] or _cut(one["description"] or "-")
    return one["name"], one["pool"], _cut(one["os"] or "-"), size, one["updated"] or one["created"] or "-", more


def _cut(words: str) -> str:
    """What has room in a column: `template show` has all of it."""
    line = " ".join(words.split())
    return line if len(line) <= COLUMN else f"{line[: COLUMN - 1]}…"


def sources(data: Mapping[str, Any]) -> Iterator[str | Table]:
    """One row a published image."""
    yield listing(data, "sources", SOURCES, _source) if data["sources"] else "No plugin knows a published image."


def _source(one: Mapping[str, Any]) -> tuple[str, ...]:
    return one["name"], one["system"], one["version"], one["architecture"], one["url"].split("/")[2], one["plugin"]


def template(data: Mapping[str, Any]) -> Iterator[str]:
    """A template with all that is known of it."""
    one = data["template"]
    yield f"{one['name']} in {one['pool']}: {one['problem'] or one['format']}"
    yield f"  image    {one['path'] or 'gone'}"
    for key in ("uuid", "type", "size", "sha256", "created", "updated", "storage", "os", "source", "description"):
        if one[key]:
            yield f"  {key:<8} {as_size(one[key]) if key == 'size' else one[key]}".rstrip()
    if one["features"]:
        yield f"  features {', '.join(one['features'])}"
    if one["tags"]:
        yield f"  tags     {', '.join(one['tags'])}"
    for path in one.get("above", ()):
        yield f"  below    {path}"
    for snapshot in one.get("snapshots", ()):
        yield f"  needed   {snapshot}"
    if one.get("guests"):
        yield f"  guests   {', '.join(one['guests'])}"


def template_changed(data: Mapping[str, Any]) -> Iterator[str]:
    """What was done to a template, or would be."""
    if data["dry_run"]:
        yield from changed(data)
    elif data["operation"] and data["operation"]["ok"]:
        one, gone = data["template"], data["operation"]["operation"] == "template delete"
        yield f"The template {one['name']} {'is removed' if gone else 'is made in pool ' + one['pool']}."
