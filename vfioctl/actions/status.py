"""Last outcomes, what is under way or unfinished, where each device is.

Never asks libvirt: while a hook runs it would answer nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from vfioctl.actions import guests
from vfioctl.actions.facts import owners, unseen_messages
from vfioctl.actions.firing import warnings
from vfioctl.actions.lookup import must_be_known
from vfioctl.actions.names import kind, names
from vfioctl.actions.records import Records
from vfioctl.result import Result, incomplete

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.host.host import Host
    from vfioctl.host.model import PciDevice
    from vfioctl.paths import Paths


def status(call: Call, guest: str | None = None) -> Result:
    """How everything stands, or what concerns `guest`. Raises Refused("guest.unknown")."""
    if guest is not None:
        must_be_known(call.composition.paths, guest)
    paths, host = call.composition.paths, call.composition.machine().host()
    records = Records(paths, host)
    data = {"last": records.outcomes(), "hand_offs": records.hand_offs(), "stuck": records.stuck()}
    data["operations"] = records.operations()
    data["guests"] = guests.rows(call, records, data["hand_offs"], data["last"])
    data["cards"] = records.rows(_devices(paths, host, host.gpus()))
    data["devices"] = records.rows(_devices(paths, host, _others(paths, host)))
    shown = {**(_of(guest, data) if guest else data), "guest": guest}
    said = (*records.messages(), *unseen_messages(host, call.caller), *warnings(call))
    return incomplete(shown, records.errors).saying(*said)


def _of(guest: str, data: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """What of `data` concerns `guest`."""
    named = {key: [row for row in data[key] if row["guest"] == guest] for key in ("last", "hand_offs", "guests")}
    its = {address for row in named["guests"] for address in (*row["has"], *row["gets"])}
    about = {key: [row for row in data[key] if row["address"] in its or row.get("guest") == guest]
             for key in ("stuck", "cards", "devices")}  # fmt: skip
    about["operations"] = [row for row in data["operations"] if row["subject"] in (guest, f"guest:{guest}")]
    return {**named, **about}


def _others(paths: Paths, host: Host) -> Iterator[PciDevice]:
    """Every device that a guest has and that is no card."""
    cards = {card.address for card in host.gpus()}
    for address in sorted(set(owners(paths)) - cards):
        if host.has_device(address):
            yield host.device(address)


def _devices(paths: Paths, host: Host, devices: Iterable[PciDevice]) -> Iterator[dict[str, Any]]:
    """Each device with its driver, the guest that has it, and who holds it."""
    shown = tuple(devices)
    known, given = names(paths, shown), owners(paths)
    for device in shown:
        holders = () if device.stuck else host.holders((device.address,))
        yield {
            "address": device.address, "name": known[device.address], "kind": kind(device), "driver": device.driver,
            "stuck": device.stuck, "guest": given.get(device.address), "boot_vga": bool(device.boot_vga),
            "holders": [{"pid": item.pid, "process": item.comm} for item in holders],
        }  # fmt: skip
