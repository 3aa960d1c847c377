"""`vfioctl gpu holders [ADDRESS]`: the processes that hold a card."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vfioctl.cli.options import verb

if TYPE_CHECKING:
    from vfioctl.cli.app import App
    from vfioctl.cli.result import Result
    from vfioctl.host.host import Host
    from vfioctl.host.model import Holder, PciDevice

NAME = "gpu holders"


@verb("holders")
@click.argument("address", required=False)
@click.pass_obj
def command(app: App, address: str | None) -> Result:
    """List the processes that hold a card.

    ADDRESS is a PCI address such as 0000:01:00.0; its other functions are looked at as well. Without it: every card.
    """
    from vfioctl.cli.facts import unreadable_message
    from vfioctl.cli.result import Result

    app.need_root()
    host = app.composition.machine().host()
    devices = tuple(device.address for device in _devices(host, address) if not device.stuck)
    found = host.holders(devices)
    data = {"devices": list(devices), "holders": [describe(holder) for holder in found]}
    return Result(NAME, data, messages=unreadable_message(host.unreadable()))


def _devices(host: Host, address: str | None) -> tuple[PciDevice, ...]:
    if address:
        return host.functions(address)
    slots = {device.slot for device in host.devices() if device.is_display}
    return tuple(device for device in host.devices() if device.slot in slots and not device.is_bridge)


def describe(holder: Holder) -> dict[str, Any]:
    """What is shown of one process."""
    return {
        "pid": holder.pid, "start_time": holder.start_time, "process": holder.comm, "user": _user(holder.uid),
        "uid": holder.uid, "unit": holder.unit, "user_unit": holder.user_unit, "session": holder.session,
        "container": holder.container, "nodes": list(holder.nodes), "devices": list(holder.addresses),
        "untouchable": holder.is_untouchable,
    }  # fmt: skip


def _user(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
