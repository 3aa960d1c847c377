"""network.autostart: whether a network starts with libvirt."""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepRefused
from vfioctl.kinds.libvirt.change import URI
from vfioctl.kinds.libvirt.networks import LOOK_AGAIN, Network, NetworkChange
from vfioctl.txn.shape import FLAG, UUID, Shape, optional
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step


class NetworkAutostart(NetworkChange):
    """{uri, uuid, on, former, new?}: former: whether it does so now; new: an earlier step makes the network"""

    name = "network.autostart"
    summary = "Has a network start with libvirt, or not; as before only on failure."
    undo_class = Undo.EXACT
    takes = Shape(uri=URI, uuid=UUID, on=FLAG, former=FLAG, new=optional(FLAG))

    def put_back(self, params: Json) -> str:
        return "it starts with libvirt" if params["former"] else "it does not start with libvirt"

    def must_fit(self, params: Json, network: Network, machine: Machine) -> None:  # noqa: ARG002
        network.must_be_kept()
        if bool(network.handle.autostart()) is not params["former"]:
            said = f"Whether the network {network.handle.name()} starts with libvirt was changed since the plan."
            raise StepRefused("network.changed", said, hints=LOOK_AGAIN)

    def state(self, step: Step, paths: Paths, network: Network) -> State:  # noqa: ARG002
        found = network.found
        if found is None or not found.isPersistent():
            return State.BEFORE
        return State.AFTER if bool(found.autostart()) is step.params["on"] else State.BEFORE

    def apply(self, step: Step, machine: Machine) -> str | None:
        return self.on(step, machine, lambda network: _set(network, on=step.params["on"]))

    def undo(self, step: Step, machine: Machine) -> str | None:
        return self.on(step, machine, lambda network: _set(network, on=step.params["former"]))


def _set(network: Network, *, on: bool) -> str | None:
    if bool(network.handle.autostart()) is on:
        return "it is so already"
    network.handle.setAutostart(int(on))
    return None


KIND = NetworkAutostart()
