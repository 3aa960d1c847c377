"""network.start: starts a network. The undo stops what this operation has started, unless a guest is on it.

A mark says so: what is started is a configuration that bears it, and the one without it is put back right after.
"""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepRefused
from vfioctl.kinds.libvirt.change import URI
from vfioctl.kinds.libvirt.networks import Network, NetworkChange, marked, starter
from vfioctl.txn.shape import FLAG, NAME, UUID, Shape, optional
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step


class NetworkStart(NetworkChange):
    """{uri, uuid, new?}: new: an earlier step makes it"""

    name = "network.start"
    summary = "Starts a network; stopped again only on failure, and only when it was started by this and is not in use."
    marks = True
    undo_class = Undo.EXACT
    takes = Shape(uri=URI, uuid=UUID, new=optional(FLAG))
    keeps = Shape(operation=NAME)
    goes_on = (State.AFTER, State.BETWEEN)

    def put_back(self, params: Json) -> str:  # noqa: ARG002
        return "it is stopped"

    def must_fit(self, params: Json, network: Network, machine: Machine) -> None:  # noqa: ARG002
        if network.handle.isActive():
            raise StepRefused("network.active", f"The network {network.handle.name()} is active already.")
        network.must_be_kept()

    def state(self, step: Step, paths: Paths, network: Network) -> State:  # noqa: ARG002
        pending = starter(network.xml) == _operation(step)
        if not network.is_active:
            return State.BETWEEN if pending else State.BEFORE
        if starter(network.live_xml) != _operation(step):
            return State.FOREIGN
        return State.BETWEEN if pending else State.AFTER

    def apply(self, step: Step, machine: Machine) -> str | None:
        return self.on(step, machine, lambda network: self._start(step, machine.paths, network))

    def _start(self, step: Step, paths: Paths, network: Network) -> str | None:
        if self.state(step, paths, network) is State.AFTER:
            return "it is active already"
        try:
            if not network.is_active:
                network.connection.networkDefineXML(marked(network.xml, _operation(step)))
                network.handle.create()
        finally:
            _clear(network)
        return None

    def undo(self, step: Step, machine: Machine) -> str | None:
        return self.on(step, machine, lambda network: _stop(step, network))

    def foreign(self, step: Step, machine: Machine) -> str:  # noqa: ARG002
        return f"The network {step.params['uuid']} was started by somebody else, and stays active."


def _operation(step: Step) -> str:
    return str(step.baseline["operation"])


def _clear(network: Network) -> None:
    if starter(xml := network.xml):
        network.connection.networkDefineXML(marked(xml, ""))


def _stop(step: Step, network: Network) -> str | None:
    ours = starter(network.live_xml) == _operation(step)
    _clear(network)
    if not ours:
        return "it is not active, or was not started by this"
    network.must_be_free(running=True)
    network.handle.destroy()
    return None


KIND = NetworkStart()
