"""How the verbs look on a terminal: lines made from the data and nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from vfioctl.plugin import Table, listing, planned_steps

HEADS = ("name", "state", "autostart", "type", "addresses", "bridge", "running")
LEASE = ("network", "address", "mac", "name", "guest", "until")
NONE = "There are no networks. Make one with: vfioctl network create NAME --subnet 192.168.219.0/24"
DONE = {
    "create": "is there and active", "start": "is active", "stop": "is stopped", "delete": "is gone",
    "set": "has it in its configuration", "repair": "has what it needs again",
}  # fmt: skip


def listed(data: Mapping[str, Any]) -> Iterator[str | Table]:
    """One row a network."""
    yield listing(data, "networks", HEADS, _cells) if data["networks"] else NONE


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    state = "active" if row["active"] else "inactive"
    return (
        row["name"], state if row["persistent"] else f"{state}, transient", "yes" if row["autostart"] else "no",
        row["type"], ", ".join(row["addresses"]) or "-", row["bridge"] or ", ".join(row["devices"]) or "-",
        str(len(row["running"])),
    )  # fmt: skip


def shown(data: Mapping[str, Any]) -> Iterator[str]:
    """A network with all of its parts."""
    one = data["network"]
    state = "active" if one["active"] else "inactive"
    starts = "starts with libvirt" if one["autostart"] else "does not start with libvirt"
    yield f"{one['name']}: {one['type']}, {state}, {starts}"
    yield f"  uuid     {one['uuid']}"
    if where := one["bridge"] or ", ".join(one["devices"]):
        yield f"  through  {where}"
    if one["domain"]:
        yield f"  domain   {one['domain']}"
    for subnet in one["subnets"]:
        yield from _subnet(subnet)
    for name in one["names"]:
        yield f"  name     {', '.join(name['names'])} is {name['address']}"
    for port in one["ports"]:
        yield f"  guest    {port['guest']}, {port['mac']}, {port['device'] or 'off'}"
    yield f"  leases   {one['leases']}"


def _subnet(subnet: Mapping[str, Any]) -> Iterator[str]:
    ranges = ", ".join(f"{first} to {last}" for first, last in subnet["dhcp"])
    yield f"  subnet   {subnet['subnet']}, the host is {subnet['gateway']}, DHCP gives {ranges or 'nothing'}"
    for lease in subnet["leases"]:
        yield f"  kept     {lease['address']} for {' '.join(filter(None, (lease['name'], lease['mac'])))}"


def checked(data: Mapping[str, Any]) -> Iterator[str]:
    """One line a network that is well, and the problems of each other one with what to do."""
    if not data["networks"]:
        yield "No network is active."
    for row in data["networks"]:
        if not row["problems"]:
            yield f"{row['name']}: all that it needs is there"
        for problem in row["problems"]:
            yield f"{row['name']}: {problem['text']} [{problem['code']}]"
            yield from (f"    {one}" for one in problem["missing"])
            yield f"  {problem['hint']}"


def leases(data: Mapping[str, Any]) -> Iterator[str | Table]:
    """One row an address."""
    yield listing(data, "leases", LEASE, _lease) if data["leases"] else "No address is given away."


def _lease(row: Mapping[str, Any]) -> tuple[str, ...]:
    until = "not asked for yet" if row["expires"] is None else _moment(row["expires"])
    return (
        row["network"], row["address"], row["mac"] or "-", row["name"] or "-", row["guest"] or "no such guest",
        f"{until}, kept" if row["kept"] else until,
    )  # fmt: skip


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds)) if seconds else "for ever"


def changed(data: Mapping[str, Any]) -> Iterator[str]:
    """What was done, or would be."""
    if data["dry_run"]:
        yield from planned_steps(data)
    elif data["operation"] and data["operation"]["ok"]:
        yield f"The network {data['network']['name']} {_done(data)}."


def _done(data: Mapping[str, Any]) -> str:
    verb = data["operation"]["operation"].removeprefix("network ")
    if verb == "autostart":
        return "starts with libvirt" if data["network"]["autostart"] else "does not start with libvirt"
    if verb == "create" and data["network"]["subnet"]:
        one = data["network"]
        gives = f", DHCP gives {one['dhcp'][0]} to {one['dhcp'][1]}" if one["dhcp"] else ""
        return f"is there and active: {one['subnet']} on {one['bridge']}, the host is {one['gateway']}{gives}"
    return DONE[verb]
