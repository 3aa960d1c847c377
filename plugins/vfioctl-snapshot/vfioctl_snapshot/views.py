"""How the verbs look on a terminal: lines made from the data and nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vfioctl.plugin import Table, as_size, listing, planned_steps


def listed(data: Mapping[str, Any]) -> Iterator[str | Table]:
    """One row a snapshot, the present one marked; with its node where several were asked."""
    heads = ("guest", "name", "made", "by", "state", "disks", "present")
    yield listing(data, "snapshots", heads, _cells) if data["snapshots"] else "There are no snapshots."


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    disks = ",".join(row["disks"]) + ("+nvram" if row["nvram"] else "") + ("+tpm" if row["tpm"] else "")
    state = "incomplete" if row["missing"] else row["state"] + (", memory" if row["memory"] else "")
    present = "yes" if row["current"] else ""
    return row["guest"], row["name"], moment(row["created"]), row["origin"], state, disks or "-", present


def moment(seconds: float) -> str:
    """A moment in local time, to the minute."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def shown(data: Mapping[str, Any]) -> Iterator[str]:
    """A snapshot with each of its parts."""
    one = data["snapshot"]
    yield f"{one['name']} of {one['guest']}, made {moment(one['created'])} by {one['origin']} ({one['method']})"
    yield f"  guest    {one['state']}{', with its memory' if one['memory'] else ''}"
    if one["before"]:
        yield f"  after    {one['before']}"
    for disk in one["disks"]:
        yield from _disk(disk)
    for target, why in one["skipped"].items():
        yield f"  {target:<8} has no part in it: {why}"
    yield f"  nvram    {one['nvram_copy'] or 'no copy'}"
    if one["tpm_copy"]:
        yield f"  tpm      {one['tpm_copy']}"
    for part in one["missing"]:
        yield f"  missing  {part}"
    if one["current"]:
        yield "  The guest went on from here."


def _disk(disk: Mapping[str, Any]) -> Iterator[str]:
    size = f", {as_size(disk['used'])} of {as_size(disk['size'])}" if disk["there"] else ", which is gone"
    yield f"  {disk['target']:<8} {disk['image']} ({disk['format']}{size})"
    for path in disk["below"]:
        yield f"           over {path}"
    for path in disk["above"]:
        yield f"           needed by {path}"


def changed(data: Mapping[str, Any]) -> Iterator[str]:
    """What was done, or would be."""
    if data["dry_run"]:
        yield from planned_steps(data)
        return
    if data["operation"] and data["operation"]["ok"]:
        yield from _done(data)


def _done(data: Mapping[str, Any]) -> Iterator[str]:
    verb, guest = data["operation"]["operation"].removeprefix("snapshot "), data["guest"]
    if verb == "create":
        yield f"Snapshot {data['snapshot']['name']!r} of guest {guest} is made: {_parts(data['snapshot'])}."
    elif verb == "revert":
        yield f"Guest {guest} is as it was at {data['snapshot']['name']!r}: {_parts(data['snapshot'])}."
    else:
        yield f"Guest {guest} has these snapshots no more: {_names(data['snapshots'])}."


def _parts(snapshot: Mapping[str, Any]) -> str:
    targets = ", ".join(part["target"] for part in snapshot["disks"])
    more = [name for name, there in (("its NVRAM", snapshot["nvram"]), ("its TPM", snapshot["tpm"])) if there]
    return f"{targets} and {more[0]}" if len(more) == 1 else ", ".join((targets, *more))


def _names(snapshots: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(one["name"] for one in snapshots)
