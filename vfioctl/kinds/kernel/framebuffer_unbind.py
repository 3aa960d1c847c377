"""framebuffer.unbind: takes the firmware's framebuffer off the card. The kernel makes a new one, not this step."""

from __future__ import annotations

import os
from collections.abc import Iterable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import DeadlineExceeded
from vfioctl.findings import Finding
from vfioctl.host.readers import link_name
from vfioctl.kinds.common import Primitive, write_device
from vfioctl.kinds.stuck import stuck_write
from vfioctl.txn.clock import Deadline
from vfioctl.txn.shape import NAME, Shape, maybe
from vfioctl.txn.step import Lifetime, Scope, State, Undo
from vfioctl.wait import until

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step, StepProposal


class FramebufferUnbind(Primitive):
    """{device, driver}, e.g. simple-framebuffer.0 and simple-framebuffer"""

    name = "framebuffer.unbind"
    summary = "Unbinds the firmware's framebuffer of the card; the aperture removal leaves nothing to bind again."
    undo_class = Undo.NONE
    scope = Scope.LEASE
    lifetime = Lifetime.BOOT
    takes = Shape(device=NAME, driver=NAME)
    keeps = Shape(driver=maybe(NAME))

    def resource(self, params: Json) -> str:
        return f"framebuffer:{params['device']}"

    def baseline(self, params: Json, host: Host) -> Json:
        return {"driver": _driver(host.paths, params["device"])}

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:  # noqa: ARG002
        if "/" in proposal.params["device"] + proposal.params["driver"]:
            yield Finding("framebuffer.name", f"{proposal.params['device']} is not the name of a platform device.")

    def apply(self, step: Step, machine: Machine) -> str | None:
        device, driver = step.params["device"], step.params["driver"]
        if _driver(machine.paths, device) != driver:
            return f"{device} is not on {driver}"
        deadline = Deadline(step.deadline)
        path = machine.paths.at("sys/bus/platform/drivers", driver, "unbind")
        write_device(machine, device, path, device, deadline=deadline.left, doing=f"Unbinding {device} from {driver}")
        if not until(lambda: _driver(machine.paths, device) is None, deadline.left):
            raise DeadlineExceeded("framebuffer.stays", f"{device} is still on {driver}.")
        return None

    def probe(self, step: Step, machine: Machine) -> State:
        if stuck_write(machine, step.params["device"]):
            return State.STUCK
        return State.BEFORE if _driver(machine.paths, step.params["device"]) else State.AFTER

    def undo(self, step: Step, machine: Machine) -> str | None:  # noqa: ARG002
        return f"{step.params['device']} is gone for good; the driver of the card draws instead"


def _driver(paths: Paths, device: str) -> str | None:
    return link_name(os.path.join(paths.at("sys/bus/platform/devices", device), "driver"))


KIND = FramebufferUnbind()
