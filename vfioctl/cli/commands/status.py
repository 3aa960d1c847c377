"""`vfioctl status`: last outcomes, what is under way or unfinished, where each device is. Works without root.

Never asks libvirt: while a hook runs it would answer nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from vfioctl.cli.types import MANAGED

if TYPE_CHECKING:
    from vfioctl.cli.app import App
    from vfioctl.cli.result import Result
    from vfioctl.host.host import Host
    from vfioctl.host.model import PciDevice
    from vfioctl.paths import Paths


@click.command()
@click.argument("guest", type=MANAGED, required=False)
@click.pass_obj
def command(app: App, guest: str | None) -> Result:
    """Show where each device is, who holds it, what is unfinished.

    Failures of the last hand-offs come first, until they are settled: by a later success, by `recover` or by `disable`.
    It answers also while a hand-off runs and when a device is stuck in the kernel. With GUEST only what concerns it is
    shown. What only root may read is left out and said. The exit status says whether everything could be read, not
    whether all is well.
    """
    from vfioctl.cli import guests
    from vfioctl.cli.facts import unseen_messages
    from vfioctl.cli.firing import warnings
    from vfioctl.cli.lookup import must_be_known
    from vfioctl.cli.records import Records
    from vfioctl.cli.result import incomplete

    if guest is not None:
        must_be_known(app.composition.paths, guest)
    paths, host = app.composition.paths, app.composition.machine().host()
    records = Records(paths, host)
    data = {"last": records.outcomes(), "hand_offs": records.hand_offs(), "stuck": records.stuck()}
    data["guests"] = guests.rows(records, data["hand_offs"], data["last"])
    data["cards"] = records.rows(_devices(paths, host, host.gpus()))
    data["devices"] = records.rows(_devices(paths, host, _others(paths, host)))
    shown = {**(_of(guest, data) if guest else data), "guest": guest}
    said = (*records.messages(), *unseen_messages(host), *warnings(app))
    return incomplete(shown, records.errors).saying(*said)


def _of(guest: str, data: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """What of `data` concerns `guest`."""
    named = {key: [row for row in data[key] if row["guest"] == guest] for key in ("last", "hand_offs", "guests")}
    its = {address for row in named["guests"] for address in (*row["has"], *row["gets"])}
    about = {key: [row for row in data[key] if row["address"] in its or row.get("guest") == guest]
             for key in ("stuck", "cards", "devices")}  # fmt: skip
    return {**named, **about}


def _others(paths: Paths, host: Host) -> Iterator[PciDevice]:
    """Every device that a guest has and that is no card."""
    from vfioctl.cli.facts import owners

    cards = {card.address for card in host.gpus()}
    for address in sorted(set(owners(paths)) - cards):
        if host.has_device(address):
            yield host.device(address)


def _devices(paths: Paths, host: Host, devices: Iterable[PciDevice]) -> Iterator[dict[str, Any]]:
    """Each device with its driver, the guest that has it, and who holds it."""
    from vfioctl.cli.facts import owners
    from vfioctl.cli.names import kind, names

    shown = tuple(devices)
    known, given = names(paths, shown), owners(paths)
    for device in shown:
        holders = () if device.stuck else host.holders((device.address,))
        yield {
            "address": device.address, "name": known[device.address], "kind": kind(device), "driver": device.driver,
            "stuck": device.stuck, "guest": given.get(device.address), "boot_vga": bool(device.boot_vga),
            "holders": [{"pid": item.pid, "process": item.comm} for item in holders],
        }  # fmt: skip
