"""The cards of this host by IOMMU group: what the kernel can give away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from vfioctl.actions.facts import owners
from vfioctl.actions.names import kind, names
from vfioctl.result import Message, Result

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.host.host import Host
    from vfioctl.host.model import PciDevice


def cards(call: Call, *, everything: bool = False) -> Result:
    """The groups with a card, or with `everything` those of all PCI devices."""
    paths, host = call.composition.paths, call.composition.machine().host()
    shown = host.devices() if everything else _with_a_card(host)
    given, known = owners(paths), names(paths, shown)
    rows = {dev.address: {**describe(dev, host), "name": known[dev.address], "guest": given.get(dev.address)}
            for dev in shown}  # fmt: skip
    data = {"iommu": host.iommu_on(), "groups": list(_groups(host, shown, rows))}
    off = Message("The IOMMU is off: nothing can be given to a guest.", "warning", "iommu.off")
    return Result(data=data, messages=() if data["iommu"] else (off,))


def _with_a_card(host: Host) -> tuple[PciDevice, ...]:
    """The cards, what goes along with them, and whoever shares a group with any of these."""
    devices = host.devices()
    given = {address for device in host.gpus() for address in _with_companions(device, host)}
    groups = {dev.iommu_group for dev in devices if dev.address in given and dev.iommu_group is not None}
    return tuple(dev for dev in devices if dev.address in given or dev.iommu_group in groups)


def _with_companions(device: PciDevice, host: Host) -> tuple[str, ...]:
    return (device.address, *(other.address for other in host.companions(device.address)))


def _groups(host: Host, devices: Iterable[PciDevice], rows: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each group once, by number; devices without one come last."""
    numbers = {device.iommu_group for device in devices}
    for number in sorted(numbers, key=lambda number: (number is None, number or 0)):
        members = [device for device in devices if device.iommu_group == number]
        cards = [device for device in members if device.is_card] or members
        given = [address for device in cards for address in _with_companions(device, host)]
        yield {
            "group": number, "viable": not (number is not None and host.unviable(given)),
            "devices": [rows[device.address] for device in members],
        }  # fmt: skip


def describe(device: PciDevice, host: Host) -> dict[str, Any]:
    """What is shown of one function."""
    return {
        "address": device.address, "kind": kind(device), "identity": device.identity, "driver": device.driver,
        "boot_vga": bool(device.boot_vga), "power_state": device.power_state, "stuck": device.stuck,
        "reset_methods": list(device.reset_methods),
        "connectors": [{"name": item.name, "status": item.status} for item in host.connectors(device.address)],
    }  # fmt: skip
