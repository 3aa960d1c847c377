"""`vfioctl gpu list` as a tree by IOMMU group, `vfioctl gpu holders` as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from vfioctl.cli.render.tables import Column, table, words

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.tree import Tree

HOLDERS = (
    Column("pid", 8, right=True), Column("process", 16), Column("user", 10), Column("of", 28), Column("has open"),
)  # fmt: skip


def tree(data: Mapping[str, Any]) -> Iterator[RenderableType]:
    """One tree a group: the card, its other functions, and whoever shares the group."""
    if not data["groups"]:
        yield "This host has no graphics card."
    for group in data["groups"]:
        yield _group(group)


def _group(group: Mapping[str, Any]) -> Tree:
    from rich.tree import Tree

    label = "no IOMMU group" if group["group"] is None else f"IOMMU group {group['group']}"
    trunk = Tree(label if group["viable"] else f"{label} (shared with host devices)", guide_style="")
    for device in group["devices"]:
        branch = trunk.add(_device(device))
        for fact in _facts(device):
            branch.add(fact)
    return trunk


def _device(device: Mapping[str, Any]) -> str:
    used = f"given to {device['guest']}" if device["guest"] else device["driver"] or "no driver"
    return f"{device['address']}  {device['name']} [{device['identity'][:9]}]  {device['kind']}  {used}"


def _facts(device: Mapping[str, Any]) -> Iterator[str]:
    if device["stuck"]:
        yield "stuck: a kernel write on it does not return"
    if device["boot_vga"]:
        yield "the firmware's display"
    connected = [item["name"] for item in device["connectors"] if item["status"] == "connected"]
    if connected:
        yield f"connected: {words(connected)}"
    if device["reset_methods"]:
        yield f"reset: {words(device['reset_methods'])}"


def holders(data: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Who has a node of the cards open."""
    if not data["devices"]:
        yield "This host has no graphics card that could be held."
        return
    for item in data["dependents"]:
        kind = "virtual function" if item["kind"] == "virtual" else "mediated device"
        yield f"The {kind} {item['name']} of {item['device']} is used by {words(item['users'])}."
    if data["holders"]:
        yield table(HOLDERS, (_holder(item) for item in data["holders"]))
    elif not data["dependents"]:
        yield f"Nothing holds {words(data['devices'])}."


def _holder(item: Mapping[str, Any]) -> tuple[object, ...]:
    inside = item.get("container_name") or item["container"]
    unit = (item["user_unit"] or item["unit"] or "").removesuffix(".service")
    shown = "" if inside and unit.endswith(".scope") else unit  # a container's scope only repeats its id
    belongs = (("session", item["session"]), ("", shown), ("container", inside))
    of = words(f"{word} {name}".strip() for word, name in belongs if name)
    return (item["pid"], item["process"], item["user"], of, words(item["nodes"]))
