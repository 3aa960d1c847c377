"""device.attach: gives a guest a device: now, from its next start on, or both. The undo takes it again.

Its alias names the operation, so that what somebody else attaches under the same name is left alone.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepRefused
from vfioctl.kinds.libvirt.device_detach import detach
from vfioctl.kinds.libvirt.devices import (
    CONFIG,
    LIVE,
    OURS,
    alias,
    device_of,
    flags,
    identity,
    must_have_places,
    present,
    usb_numbers,
)
from vfioctl.kinds.libvirt.domains import URI, Domain, DomainChange, on, text
from vfioctl.kinds.libvirt.drives import must_have_disks
from vfioctl.txn.blobs import BLOB
from vfioctl.txn.shape import NAME, UUID, Shape, many, one_of
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step


class DeviceAttach(DomainChange):
    """{uri, uuid, blob, where}: blob: the name of the XML of a disk with its target, of a network card with its MAC, or
    of a USB device of the host with its vendor and product; where: "live", "config", or both"""

    name = "device.attach"
    summary = "Gives a guest a disk, a network card or a USB device; taken from it again only on failure."
    marks = True
    undo_class = Undo.EXACT
    takes = Shape(uri=URI, uuid=UUID, blob=BLOB, where=many(one_of(LIVE, CONFIG)))
    keeps = Shape(operation=NAME)
    goes_on = (State.AFTER, State.BETWEEN)

    def put_back(self, params: Json) -> str:  # noqa: ARG002
        return "it is taken from the guest again"

    def must_fit(self, params: Json, domain: Domain, machine: Machine) -> None:
        wanted, handle = device_of(text(machine.paths, params["blob"])), domain.handle
        must_have_places(handle, frozenset(params["where"]))
        if any(present(handle, wanted, place) is not None for place in params["where"]):
            said = f"The guest {handle.name()} has the {identity(wanted)} already."
            raise StepRefused("device.exists", said, hints=("Plan it once more.",))

    def must_fit_here(self, params: Json, machine: Machine) -> None:
        device = text(machine.paths, params["blob"])
        must_have_disks(machine, params, f"<domain><devices>{device}</devices></domain>")

    def state(self, step: Step, paths: Paths, domain: Domain) -> State:
        if (handle := domain.found) is None:
            return State.BEFORE
        wanted = device_of(text(paths, step.params["blob"]))
        found = {place: present(handle, wanted, place) for place in step.params["where"]}
        ours = {place for place, one in found.items() if one is not None and alias(one) == _alias(step, wanted)}
        if not ours:
            return State.FOREIGN if any(one is not None for one in found.values()) else State.BEFORE
        return State.AFTER if len(ours) == len(found) else State.BETWEEN

    def apply(self, step: Step, machine: Machine) -> str | None:
        return on(step, machine, lambda domain: self._attach(step, machine, domain))

    def _attach(self, step: Step, machine: Machine, domain: Domain) -> str | None:
        if self.state(step, machine.paths, domain) is State.AFTER:
            return "it has it already"
        wanted, handle = device_of(text(machine.paths, step.params["blob"])), domain.handle
        left = frozenset(place for place in step.params["where"] if present(handle, wanted, place) is None)
        handle.attachDeviceFlags(_marked(wanted, step), flags(left))
        return None

    def undo(self, step: Step, machine: Machine) -> str | None:
        """Raises StepFailed("guest.holds") where the running guest does not let go of it."""
        wanted = device_of(text(machine.paths, step.params["blob"]))
        places = on(step, machine, lambda domain: _ours(step, wanted, domain.found))
        return detach(step, machine, wanted, places)

    def foreign(self, step: Step, machine: Machine) -> str:
        name = identity(device_of(text(machine.paths, step.params["blob"])))
        return f"The {name} of the guest {step.params['uuid']} is somebody else's, and stays."


def _ours(step: Step, wanted: ET.Element, handle: Any | None) -> frozenset[str]:
    """The places where what this has attached is."""
    if handle is None:
        return frozenset()
    found = {place: present(handle, wanted, place) for place in step.params["where"]}
    return frozenset(place for place, one in found.items() if one is not None and alias(one) == _alias(step, wanted))


def _alias(step: Step, wanted: ET.Element) -> str:
    name = " ".join((identity(wanted).partition(" ")[2], *(usb_numbers(wanted) or ())))
    return f"{OURS}{step.baseline['operation']}-{re.sub('[:. ]', '-', name)}"


def _marked(wanted: ET.Element, step: Step) -> str:
    for former in wanted.findall("alias"):
        wanted.remove(former)
    ET.SubElement(wanted, "alias", name=_alias(step, wanted))
    return ET.tostring(wanted, encoding="unicode")


KIND = DeviceAttach()
