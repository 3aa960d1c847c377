"""pci.rescan: looks for PCI devices anew; with an address, takes that function off the bus first. Last resort."""

from __future__ import annotations

import os

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import DeadlineExceeded, StepFailed
from vfioctl.host.readers import text
from vfioctl.kinds.common import ADDRESS, Primitive, name_holders, write_device
from vfioctl.kinds.stuck import refuse_stuck, stuck_write
from vfioctl.txn.clock import Deadline
from vfioctl.txn.shape import TEXT, Shape, maybe, optional
from vfioctl.txn.step import Lifetime, Scope, State, Undo
from vfioctl.wait import until

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step

BUS = "pci-bus"  # a rescan takes the lock of the whole bus: a stuck one is recorded under this name


class PciRescan(Primitive):
    """{address?}"""

    name = "pci.rescan"
    summary = "Removes a PCI function and finds it again, or only looks for new devices; the function must come back."
    undo_class = Undo.NONE
    scope = Scope.LEASE
    lifetime = Lifetime.BOOT
    takes = Shape(address=optional(maybe(ADDRESS)))
    keeps = Shape(identity=optional(maybe(TEXT)))

    def resource(self, params: Json) -> str:
        return f"pci:{params['address']}" if params.get("address") else "pci-bus"

    def baseline(self, params: Json, host: Host) -> Json:
        address = params.get("address")
        return {"identity": _identity(host.paths, address) if address else None}

    def guard(self, step: Step, machine: Machine) -> None:
        refuse_stuck(machine, BUS)
        if not (address := step.params.get("address")):
            return
        refuse_stuck(machine, address)
        host = machine.host()
        holders = [h for h in host.holders((address,)) if not h.is_untouchable] if host.has_device(address) else []
        if holders:
            raise StepFailed("device.held", f"{address} is not removed: it is held by {name_holders(holders)}.")

    def apply(self, step: Step, machine: Machine) -> str | None:
        address, paths = step.params.get("address"), machine.paths
        deadline = Deadline(step.deadline)
        if address and os.path.exists(paths.pci(address)):
            path = paths.pci(address, "remove")
            write_device(machine, address, path, "1", deadline=deadline.left, doing=f"Removing {address}")
        path = paths.at("sys/bus/pci/rescan")
        write_device(machine, BUS, path, "1", deadline=deadline.left, doing="Looking for PCI devices")
        if address:
            _wait_for(step, machine, address, deadline)
        return None

    def probe(self, step: Step, machine: Machine) -> State:
        address = step.params.get("address")
        if stuck_write(machine, BUS) or (address and stuck_write(machine, address)):
            return State.STUCK
        return State.BETWEEN if address and not os.path.exists(machine.paths.pci(address)) else State.AFTER

    def undo(self, step: Step, machine: Machine) -> str | None:  # noqa: ARG002
        return "a rescan has no undo"


def _identity(paths: Paths, address: str) -> str | None:
    ids = [text(paths.pci(address, name)) for name in ("vendor", "device", "subsystem_vendor", "subsystem_device")]
    return ":".join(part or "" for part in ids) if ids[0] else None


def _wait_for(step: Step, machine: Machine, address: str, deadline: Deadline) -> None:
    """It may come back under another address, or another device under this one."""
    if not until(lambda: _identity(machine.paths, address) is not None, deadline.left):
        raise DeadlineExceeded("device.gone", f"{address} did not come back on the bus.")
    found = _identity(machine.paths, address)
    if step.baseline["identity"] not in (None, found):
        raise StepFailed("device.other", f"At {address} there is another device now: {found}.")


KIND = PciRescan()
