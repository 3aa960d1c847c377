"""How the verbs look on a terminal: made from the data and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vfioctl.plugin import Table, as_size, listing, planned_steps
from vfioctl_guest.names import cpus_of
from vfioctl_guest.profile_views import used

HEADS = ("name", "state", "cpus", "memory", "autostart", "managed")


def listed(data: Mapping[str, Any]) -> Iterator[str | Table]:
    """One row a guest; with its node where several were asked. Below, what each lacks until it can start."""
    yield listing(data, "guests", HEADS, _cells) if data["guests"] else "There are no guests."
    for row in data["guests"]:
        for one in row["lacks"] or ():
            yield f"{row['name']} cannot start yet: {one['message']}"
            yield from (f"  {hint}" for hint in (one["hint"],) if hint)


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    flags = _yes(row["autostart"]), _yes(row["managed"])
    return row["name"], state(row), str(row["cpus"]), as_size(row["memory"]), *flags


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
    if one["seed"]:
        yield "seed", one["seed"]
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


def created(data: Mapping[str, Any]) -> Iterator[str]:
    """What was made, or would be; then with the XML as libvirt gets it. Of several, each."""
    if any(one.get("dry_run") for one in data.get("guests", (data,))):
        yield from used(data.get("profile"))
    for one in data.get("guests", (data,)):
        yield from _created(one) if one.get("made", True) else (f"Guest {one['name']} is not made.",)


def _created(data: Mapping[str, Any]) -> Iterator[str]:
    guest = data["guest"]
    if data["dry_run"]:
        yield from _planned(data)
    elif data["operation"]["ok"]:
        yield f"Guest {guest['name']} is made on {guest['node']}: {cpus_of(guest['cpus'])}, {as_size(guest['memory'])}."
        yield from (f"  {disk['target']:<4} {disk['source']}" for disk in guest["disks"])
        yield from (f"  {card['network']}  {card['mac']}" for card in guest["networks"])
        yield from (f"  device  {address}, handed over by vfioctl" for address in guest["devices"])


def _planned(data: Mapping[str, Any]) -> Iterator[str]:
    """The steps, and the XML as libvirt would get it."""
    yield from planned_steps(data)
    yield data["xml"].rstrip()


def cloned(data: Mapping[str, Any]) -> Iterator[str]:
    """What was copied, or would be."""
    guest = data["guest"]
    if data["dry_run"]:
        yield from _planned(data)
    elif data["operation"]["ok"]:
        yield f"Guest {guest['name']} is made on {guest['node']}, as {guest['of']} is."
        yield from (f"  {path}" for path in guest["disks"])


def deleted(data: Mapping[str, Any]) -> Iterator[str]:
    """What is gone, or would be."""
    if data["dry_run"]:
        yield from planned_steps(data)
    elif data["operation"]["ok"]:
        yield f"Guest {data['guest']} is deleted from {data['node']}."
        yield from (f"  {path}" for path in data["disks"])
