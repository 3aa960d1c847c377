"""The devices of nodes, and which guest has each or gets it at its next start. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from vfioctl.actions.names import class_name, models
from vfioctl.actions.nodes import ask, chosen
from vfioctl.frozen import asdict, frozen
from vfioctl.plugin.device_users import users
from vfioctl.virt.devices import GPU, PCI, read_devices
from vfioctl.virt.guests import read_guests

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.paths import Paths
    from vfioctl.result import Result
    from vfioctl.virt.connection import Connection
    from vfioctl.virt.devices import Device
    from vfioctl.virt.guests import Guest

ON_PCI = (GPU, PCI)


@frozen
class Seen:
    """What one node says: its devices, and its guests with what they name of them."""

    devices: tuple[Device, ...]
    guests: tuple[Guest, ...]


def devices(call: Call, name: str, option: str, kinds: Iterable[str], *, all_nodes: bool) -> Result:
    """The devices of these `kinds`, of all where there are none, on one node or on all. Raises as `nodes.ask`."""
    wanted = frozenset(kinds)
    answers = ask(call, _read, chosen(call, name, option), all_nodes=all_nodes)
    return answers.result("devices", partial(_rows, call.paths, wanted | ({GPU} if PCI in wanted else set())))


def _read(connection: Connection) -> Seen:
    return Seen(read_devices(connection), read_guests(connection))


def _rows(paths: Paths, kinds: frozenset[str], seen: Seen) -> Iterator[dict[str, Any]]:
    shown = [one for one in seen.devices if not kinds or one.kind in kinds]
    names = models(paths, {_numbers(one) for one in shown if one.kind in ON_PCI and not one.product})
    has = users((one.name, one.live_xml) for one in seen.guests)
    gets = users((one.name, one.xml) for one in seen.guests)
    for one in shown:
        product = one.product or names.get(_numbers(one), "") if one.kind in ON_PCI else one.product
        uses = [(PCI if one.kind == GPU else one.kind, word) for word in (one.name, one.identity)]
        yield {
            **asdict(one), "product": product,
            "class": None if one.pci_class is None else class_name(one.pci_class),
            "has": _guests(has, uses), "gets": _guests(gets, uses),
        }  # fmt: skip


def _numbers(device: Device) -> tuple[int, int]:
    vendor, _, product = device.identity.partition(":")
    return int(vendor, 16), int(product, 16)


def _guests(found: Any, uses: Iterable[tuple[str, str]]) -> list[str]:
    return sorted({guest for use in uses for guest in found.get(use, ())})
