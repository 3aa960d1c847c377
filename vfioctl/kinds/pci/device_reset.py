"""device.reset: resets one PCI function. Never one that somebody holds."""

from __future__ import annotations

import os
from collections.abc import Iterable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed
from vfioctl.findings import Finding
from vfioctl.host.readers import text
from vfioctl.kinds.common import ADDRESS, DeviceChange, name_holders, write_device
from vfioctl.kinds.stuck import refuse_stuck, stuck_write
from vfioctl.txn.clock import Deadline
from vfioctl.txn.shape import NAME, Shape, maybe, optional
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from vfioctl.host.model import PciDevice
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Step, StepProposal


class DeviceReset(DeviceChange):
    """{address, method?}; a method holds for this reset only"""

    name = "device.reset"
    summary = "Resets a PCI function, by the given method or by the kernel's choice."
    undo_class = Undo.NONE
    takes = Shape(address=ADDRESS, method=optional(maybe(NAME)))
    keeps = Shape(driver=optional(maybe(NAME)))

    def check_device(self, proposal: StepProposal, device: PciDevice) -> Iterable[Finding]:
        address, method, methods = device.address, proposal.params.get("method"), device.reset_methods
        if not methods:
            yield Finding("device.no_reset", f"{address} has no way to be reset.")
        elif method and method not in methods:
            yield Finding("device.no_reset", f"{address} cannot be reset by {method}, only by {', '.join(methods)}.")

    def guard(self, step: Step, machine: Machine) -> None:
        address = step.params["address"]
        refuse_stuck(machine, address)
        host = machine.host()
        if holders := [h for h in host.holders((address,)) if not h.is_untouchable]:
            raise StepFailed("device.held", f"{address} is not reset: it is held by {name_holders(holders)}.")
        if pids := host.vfio_open((address,)):
            raise StepFailed("device.in_use", f"{address} is not reset: process {pids[0]} has it open.")

    def apply(self, step: Step, machine: Machine) -> str | None:
        address, method = step.params["address"], step.params.get("method")
        chosen = machine.paths.pci(address, "reset_method")
        before = text(chosen)
        if not method or before == method:
            _reset(machine, address, Deadline(step.deadline))
            return None
        deadline = Deadline(step.deadline)
        _choose(machine, address, chosen, method, deadline)
        try:
            _reset(machine, address, deadline)
        finally:
            if not stuck_write(machine, address):
                _choose(machine, address, chosen, before or "default", deadline)
        return None

    def probe(self, step: Step, machine: Machine) -> State:
        """A reset leaves no trace to ask for."""
        if stuck_write(machine, step.params["address"]):
            return State.STUCK
        return State.AFTER if os.path.exists(machine.paths.pci(step.params["address"])) else State.BETWEEN

    def undo(self, step: Step, machine: Machine) -> str | None:  # noqa: ARG002
        return "a reset has no undo"


def _reset(machine: Machine, address: str, deadline: Deadline) -> None:
    path = machine.paths.pci(address, "reset")
    write_device(machine, address, path, "1", deadline=deadline.left, doing=f"Resetting {address}")


def _choose(machine: Machine, address: str, path: str, method: str, deadline: Deadline) -> None:
    doing = f"Choosing the reset method {method} for {address}"
    write_device(machine, address, path, method, deadline=deadline.left, doing=doing)


KIND = DeviceReset()
