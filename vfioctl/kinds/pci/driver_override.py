"""driver.override: says which driver may take a PCI function. Binds nothing by itself."""

from __future__ import annotations

import os

from vfioctl.checking import TYPE_CHECKING
from vfioctl.kinds.common import ADDRESS, NO_OVERRIDE, Primitive, aim_override, read_override, seconds
from vfioctl.kinds.stuck import refuse_stuck, stuck_write
from vfioctl.shell import call
from vfioctl.txn.shape import TEXT, Shape, maybe
from vfioctl.txn.step import Lifetime, Scope, State, Undo

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step


class DriverOverride(Primitive):
    """{address, value}; a value of None clears it"""

    name = "driver.override"
    summary = "Aims driver_override of a PCI function at one driver, so that no other takes it when it is probed."
    undo_class = Undo.EXACT
    scope = Scope.LEASE
    lifetime = Lifetime.BOOT
    takes = Shape(address=ADDRESS, value=maybe(TEXT))
    keeps = Shape(value=maybe(TEXT))

    def resource(self, params: Json) -> str:
        return f"sysfs:/sys/bus/pci/devices/{params['address']}/driver_override"

    def touches(self, params: Json) -> tuple[str, ...]:
        return (f"pci:{params['address']}",)

    def baseline(self, params: Json, host: Host) -> Json:
        return {"value": _plain(host.device(params["address"]).driver_override)}

    def apply(self, step: Step, machine: Machine) -> str | None:
        address, value = step.params["address"], _plain(step.params["value"])
        return aim_override(machine, address, value, deadline=step.deadline)

    def probe(self, step: Step, machine: Machine) -> State:
        address = step.params["address"]
        if stuck_write(machine, address):
            return State.STUCK
        if not os.path.exists(machine.paths.pci(address)):
            return State.BETWEEN
        value = read_override(machine, address)
        if value == _plain(step.baseline["value"]):
            return State.BEFORE
        return State.AFTER if value == _plain(step.params["value"]) else State.BETWEEN

    def undo(self, step: Step, machine: Machine) -> str | None:
        address, value = step.params["address"], _plain(step.baseline["value"])
        refuse_stuck(machine, address)
        if not os.path.exists(machine.paths.pci(address)):
            return f"{address} is gone, and its driver_override with it"
        return aim_override(machine, address, value, deadline=step.deadline)

    def render_undo(self, step: Step, paths: Paths) -> tuple[str, ...]:  # noqa: ARG002
        value = _plain(step.baseline["value"]) or ""
        return (call("override_back", step.params["address"], value, seconds(step)),)


def _plain(value: str | None) -> str | None:
    return None if value is None or value.strip() in NO_OVERRIDE else value.strip()


KIND = DriverOverride()
