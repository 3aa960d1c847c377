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
    guest_tpm,
    on_node,
    read_guest,
    read_snapshots,
    read_summaries,
)

if TYPE_CHECKING:
    from vfioctl.plugin import Call, Connection, Guest, GuestDisk, GuestInterface, GuestSummary


@click.command("list")
@click.option("--running", is_flag=True, help="Only those that run or are paused.")
@on_node
@click.pass_obj
def listed(call: Call, node: str, *, running: bool) -> Result:
    """List the guests of a node, whether they run or not.

    No guest is asked: one whose agent or emulator hangs holds up nobody.
    """
    with call.connection(node, read_only=True) as connection:
        found = read_summaries(connection)
        rows = [_row(call, connection, one) for one in found if one.runs or not running]
    return Result(data={"guests": rows})


@click.command()
@click.argument("name")
@on_node
@click.pass_obj
def show(call: Call, name: str, node: str) -> Result:
    """Show the guest NAME: its state, CPUs and memory, firmware, disks with what they lie over, networks, displays."""
    with call.connection(node, read_only=True) as connection:
        found = read_guest(connection, name)
        (summary,) = (one for one in read_summaries(connection) if one.uuid == found.uuid)
        snapshots = [one.name for one in read_snapshots(connection, found.uuid)]
        row = _row(call, connection, summary)
    return Result(data={"guest": {**row, **_machine(found), "snapshots": snapshots}})


def _row(call: Call, connection: Connection, one: GuestSummary) -> dict[str, Any]:
    return {
        "name": one.name, "uuid": one.uuid, "node": str(connection.node), "state": one.state, "reason": one.reason,
        "cpus": one.cpus, "memory": one.memory, "autostart": one.autostart, "persistent": one.persistent,
        "managed": connection.node.is_local and os.path.lexists(call.paths.guest_config(one.name)),
    }  # fmt: skip


def _machine(found: Guest) -> dict[str, Any]:
    """What its configuration says; of one that runs, what it runs with."""
    xml = found.live_xml or found.xml
    machine, firmware = guest_machine(xml), guest_firmware(xml)
    return {
        "machine": machine.machine, "firmware": "uefi" if firmware.uefi else "bios", "nvram": firmware.nvram,
        "tpm": guest_tpm(xml), "disks": [_disk(one) for one in guest_disks(xml)],
        "networks": [_interface(one) for one in guest_interfaces(xml)], "host_devices": guest_hostdevs(xml),
        "displays": list(machine.displays), "serial": machine.serial, "agent": machine.agent,
    }  # fmt: skip


def _disk(one: GuestDisk) -> dict[str, Any]:
    return {
        "target": one.target, "device": one.device, "kind": one.kind, "source": one.source, "format": one.format,
        "readonly": one.readonly, "over": list(one.backing),
    }  # fmt: skip


def _interface(one: GuestInterface) -> dict[str, Any]:
    return {"mac": one.mac, "kind": one.kind, "source": one.source, "model": one.model, "target": one.target}
