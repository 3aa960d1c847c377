"""The processes that hold a card, and what is built on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vfioctl import files
from vfioctl.actions.facts import unseen_messages
from vfioctl.actions.lookup import function
from vfioctl.host.containers import named
from vfioctl.result import Result

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.host.containers import Container
    from vfioctl.host.host import Host
    from vfioctl.host.model import Holder, PciDevice
    from vfioctl.paths import Paths

FIELDS = 6  # passwd(5), counted by their colons


def holders(call: Call, address: str | None = None) -> Result:
    """The holders of the function at `address` and of what goes along with it, else of every card.

    Raises Refused("pci.unknown").
    """
    host = call.composition.machine().host()
    devices = tuple(device.address for device in _devices(host, address) if not device.stuck)
    found = host.holders(devices)
    known, inside = users(call.composition.paths), named(call.composition.paths, found)
    below = [(address, one) for address in devices for one in host.dependents(address) if one.users]
    data = {
        "devices": list(devices), "holders": [describe(holder, known, inside) for holder in found],
        "dependents": [
            {"device": address, "kind": one.kind, "name": one.name, "users": list(one.users)} for address, one in below
        ],
    }  # fmt: skip
    return Result(data=data, messages=tuple(unseen_messages(host, call.caller)))


def _devices(host: Host, address: str | None) -> tuple[PciDevice, ...]:
    asked = (function(host, address),) if address else host.gpus()
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
