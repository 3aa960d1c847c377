"""network.stop: stops a network that no running guest is on: those would be cut off, and stay so when it is back."""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepRefused
from vfioctl.kinds.libvirt.change import URI
from vfioctl.kinds.libvirt.networks import Network, NetworkChange
from vfioctl.txn.shape import UUID, Shape
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step


class NetworkStop(NetworkChange):
    """{uri, uuid}"""

    name = "network.stop"
    summary = "Stops a network that no running guest is on; started again only on failure."
    undo_class = Undo.RECREATED
    takes = Shape(uri=URI, uuid=UUID)

    def put_back(self, params: Json) -> str:  # noqa: ARG002
        return "it is started again"

    def must_fit(self, params: Json, network: Network, machine: Machine) -> None:  # noqa: ARG002
        if not network.handle.isActive():
            raise StepRefused("network.inactive", f"The network {network.handle.name()} is not active.")
        network.must_be_kept()
        network.must_be_free(running=True)

    def state(self, step: Step, paths: Paths, network: Network) -> State:  # noqa: ARG002
        if network.found is None:
            return State.FOREIGN
        return State.BEFORE if network.is_active else State.AFTER

    def apply(self, step: Step, machine: Machine) -> str | None:
        return self.on(step, machine, lambda network: self._stop(step, machine, network))

    def _stop(self, step: Step, machine: Machine, network: Network) -> str | None:
        if not network.is_active:
            return "it is not active"
        self.must_fit(step.params, network, machine)  # as late as can be: a guest may have started since
        network.handle.destroy()
        return None

    def undo(self, step: Step, machine: Machine) -> str | None:
        return self.on(step, machine, _start)

    def foreign(self, step: Step, machine: Machine) -> str:  # noqa: ARG002
        return f"The network {step.params['uuid']} is gone, so it is not started again."


def _start(network: Network) -> str | None:
    if network.is_active:
        return "it is active already"
    network.handle.create()
    return None


KIND = NetworkStop()
