"""How the verbs look on a terminal: lines made from the data and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vfioctl.plugin import as_size

WIDEST = 40
HEADS = ("NAME", "STATE", "CPUS", "MEMORY", "AUTOSTART", "MANAGED", "NODE")


def listed(data: Mapping[str, Any]) -> Iterator[str]:
    """One line a guest; the node only where there are several."""
    rows = data["guests"]
    if not rows:
        yield "There are no guests."
        return
    several = len({row["node"] for row in rows}) > 1
    cells = [HEADS, *(_cells(row) for row in rows)]
    yield from columns(cells if several else [line[:-1] for line in cells])


def columns(cells: Sequence[Sequence[str]]) -> Iterator[str]:
    """The rows with each column as wide as it needs."""
    widths = [min(WIDEST, max(map(len, column))) for column in zip(*cells, strict=True)]
    for line in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    flags = _yes(row["autostart"]), _yes(row["managed"])
    return row["name"], state(row), str(row["cpus"]), as_size(row["memory"]), *flags, row["node"]


def state(row: Mapping[str, Any]) -> str:
    """The state, with its reason where that is no everyday thing."""
    return f"{row['state']} ({row['reason']})" if row["reason"] else str(row["state"])


def _yes(value: bool) -> str:  # noqa: FBT001 -- it is what is shown
    return "yes" if value else "-"


def shown(data: Mapping[str, Any]) -> Iterator[str]:
    """A guest with each of its parts."""
    one = data["guest"]
    yield f"{one['name']} on {one['node']}: {state(one)}"
    for key, value in _facts(one):
        yield f"  {key:<10} {value}"
    for disk in one["disks"]:
        yield from _disk(disk)
    for card in one["networks"]:
        on = f"{card['kind']} {card['source']}".strip()
        yield f"  {'network':<10} {card['mac']} on {on} ({card['model'] or 'default model'})"
    if one["snapshots"]:
        yield f"  {'snapshots':<10} {', '.join(one['snapshots'])}"


def _facts(one: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "uuid", one["uuid"]
    yield "cpus", str(one["cpus"])
    yield "memory", as_size(one["memory"])
    yield "machine", f"{one['machine']}, {one['firmware']}" + (f", TPM {one['tpm']}" if one["tpm"] else "")
    if one["nvram"]:
        yield "nvram", one["nvram"]
    yield "autostart", "yes" if one["autostart"] else "no"
    yield "agent", one["agent"] or "no channel"
    yield "serial", one["serial"] or "none"
    yield from (("display", display) for display in one["displays"])
    if one["host_devices"]:
        yield "devices", f"{one['host_devices']} of the host" + (", handed over by vfioctl" if one["managed"] else "")
    if not one["persistent"]:
        yield "transient", "libvirt forgets it when it stops"


def _disk(disk: Mapping[str, Any]) -> Iterator[str]:
    what = [disk["device"], *filter(None, (disk["format"], "read-only" if disk["readonly"] else ""))]
    yield f"  {disk['target']:<10} {disk['source'] or 'empty'} ({', '.join(what)})"
    for path in disk["over"]:
        yield f"  {'':<10} over {path}"
