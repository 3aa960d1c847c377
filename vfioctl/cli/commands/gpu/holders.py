"""`vfioctl gpu holders [ADDRESS]`: the processes that hold a card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from vfioctl import files
from vfioctl.cli.types import ADDRESS

if TYPE_CHECKING:
    from vfioctl.cli.app import App
    from vfioctl.cli.result import Result
    from vfioctl.host.containers import Container
    from vfioctl.host.host import Host
    from vfioctl.host.model import Holder, PciDevice
    from vfioctl.paths import Paths

FIELDS = 6  # passwd(5), counted by their colons


@click.command()
@click.argument("address", type=ADDRESS, required=False)
@click.pass_obj
def command(app: App, address: str | None) -> Result:
    """List the processes that hold a card.

    ADDRESS is a PCI address such as 0000:01:00.0, or 01:00.0 as lspci writes it; what goes along with it is looked at
    as well. Without it: every card. Without root only the user's own processes can be looked into.
    """
    from vfioctl.cli.facts import unseen_messages
    from vfioctl.cli.result import Result
    from vfioctl.host.containers import named

    host = app.composition.machine().host()
    devices = tuple(device.address for device in _devices(host, address) if not device.stuck)
    found = host.holders(devices)
    known, inside = users(app.composition.paths), named(app.composition.paths, found)
    below = [(address, one) for address in devices for one in host.dependents(address) if one.users]
    data = {
        "devices": list(devices), "holders": [describe(holder, known, inside) for holder in found],
        "dependents": [
            {"device": address, "kind": one.kind, "name": one.name, "users": list(one.users)} for address, one in below
        ],
    }  # fmt: skip
    return Result(data=data, messages=tuple(unseen_messages(host)))


def _devices(host: Host, address: str | None) -> tuple[PciDevice, ...]:
    if address:
        from vfioctl.cli.lookup import function

        asked: tuple[PciDevice, ...] = (function(host, address),)
    else:
        asked = host.gpus()
    every = (one for device in asked for one in (device, *host.companions(device.address)))
    return tuple({device.address: device for device in every}.values())


def describe(holder: Holder, known: Mapping[int, str], inside: Mapping[str, Container]) -> dict[str, Any]:
    """What is shown of one process; `inside` has the containers by id."""
    container = inside.get(holder.container or "")
    return {
        "pid": holder.pid, "start_time": holder.start_time, "process": holder.comm,
        "user": known.get(holder.uid, str(holder.uid)),
        "uid": holder.uid, "unit": holder.unit, "user_unit": holder.user_unit, "session": holder.session,
        "container": holder.container, "container_name": container.title if container else None,
        "stop": container.stop if container else None, "nodes": list(holder.nodes), "devices": list(holder.addresses),
        "untouchable": holder.is_untouchable,
    }  # fmt: skip


def users(paths: Paths) -> dict[int, str]:
    """The names of this root's users by uid."""
    text = files.read_text(paths.at("etc/passwd"), follow=True) or ""
    rows = (line.split(":") for line in text.splitlines() if line.count(":") >= FIELDS and not line.startswith("#"))
    return {int(row[2]): row[0] for row in rows if row[2].isdecimal()}
