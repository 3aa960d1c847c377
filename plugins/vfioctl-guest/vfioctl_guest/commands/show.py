"""`vfioctl guest list` and `show`: what libvirt says of the guests of a node. Reads only, and asks no guest."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from vfioctl.plugin import (
    Result,
    guest_disks,
    guest_firmware,
    guest_hostdevs,
    guest_interfaces,
    guest_machine,
    guest_names,
    guest_tpm,
    on_node,
    on_nodes,
    read_guest,
    read_snapshots,
    read_summaries,
)
from vfioctl_guest.seed.mark import marked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vfioctl.plugin import Call, Connection, Guest, GuestDisk, GuestInterface, GuestSummary, Node


@click.command("list")
@click.option("--running", is_flag=True, help="Only those that run or are paused.")
@on_nodes
@click.pass_obj
def listed(call: Call, node: str, *, all_nodes: bool, running: bool) -> Result:
    """List the guests of a node, or of all nodes, whether they run or not.

    No guest is asked: one whose agent or emulator hangs holds up nobody.
    """

    def rows(given: tuple[Node, tuple[GuestSummary, ...]]) -> Iterator[dict[str, Any]]:
        here, found = given
        return (_with_lacks(call, here, one) for one in found if one.runs or not running)

    return call.ask_nodes(_seen, node, all_nodes=all_nodes).result("guests", rows)


@click.command()
@click.argument("name", shell_complete=guest_names)
@on_node
@click.pass_obj
def show(call: Call, name: str, node: str) -> Result:
    """Show the guest NAME: its state, CPUs and memory, firmware, disks with what they lie over, networks, displays."""
    with call.connection(node, read_only=True) as connection:
        found = read_guest(connection, name)
        (summary,) = (one for one in read_summaries(connection) if one.uuid == found.uuid)
        snapshots = [one.name for one in read_snapshots(connection, found.uuid)]
        row = _row(call, connection.node, summary)
    return Result(data={"guest": {**row, **_machine(found), "snapshots": snapshots}})


def _seen(connection: Connection) -> tuple[Node, tuple[GuestSummary, ...]]:
    return connection.node, read_summaries(connection)


def _row(call: Call, node: Node, one: GuestSummary) -> dict[str, Any]:
    return {
        "name": one.name, "uuid": one.uuid, "node": str(node), "state": one.state, "reason": one.reason,
        "cpus": one.cpus, "memory": one.memory, "autostart": one.autostart, "persistent": one.persistent,
        "managed": node.is_local and os.path.lexists(call.paths.guest_config(one.name)),
    }  # fmt: skip


def _with_lacks(call: Call, node: Node, one: GuestSummary) -> dict[str, Any]:
    """The row of a guest, with what it lacks until it can start; None where that cannot be seen."""
    found = call.lacking(one.name) if node.is_local and one.state == "off" else None
    lacks = None if found is None else [{"code": it.code, "message": it.message, "hint": it.hint} for it in found]
    return {**_row(call, node, one), "lacks": lacks}


def _machine(found: Guest) -> dict[str, Any]:
    """What its configuration says; of one that runs, what it runs with."""
    xml = found.live_xml or found.xml
    machine, firmware, seed = guest_machine(xml), guest_firmware(xml), marked(xml)
    return {
        "machine": machine.machine, "firmware": "uefi" if firmware.uefi else "bios", "nvram": firmware.nvram,
        "tpm": guest_tpm(xml), "disks": [_disk(one) for one in guest_disks(xml)],
        "networks": [_interface(one) for one in guest_interfaces(xml)], "host_devices": guest_hostdevs(xml),
        "displays": list(machine.displays), "serial": machine.serial, "agent": machine.agent,
        "seed": seed.file if seed else "",
    }  # fmt: skip


def _disk(one: GuestDisk) -> dict[str, Any]:
    return {
        "target": one.target, "device": one.device, "kind": one.kind, "source": one.source, "format": one.format,
        "readonly": one.readonly, "over": list(one.backing),
    }  # fmt: skip


def _interface(one: GuestInterface) -> dict[str, Any]:
    return {"mac": one.mac, "kind": one.kind, "source": one.source, "model": one.model, "target": one.target}
