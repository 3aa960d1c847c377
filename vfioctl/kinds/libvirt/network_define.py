"""network.define: makes a network that is not there yet. It is known by the UUID that the plan has chosen."""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepRefused
from vfioctl.kinds.libvirt.change import URI
from vfioctl.kinds.libvirt.documents import name_of, uuid_of
from vfioctl.kinds.libvirt.domains import text
from vfioctl.kinds.libvirt.networks import Network, NetworkChange
from vfioctl.txn.blobs import BLOB
from vfioctl.txn.shape import UUID, Shape
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step


class NetworkDefine(NetworkChange):
    """{uri, uuid, blob}: blob: the name of its configuration, which has the same UUID and a name that nobody has"""

    name = "network.define"
    summary = "Makes a network; libvirt forgets it again only on failure."
    undo_class = Undo.EXACT
    takes = Shape(uri=URI, uuid=UUID, blob=BLOB)

    def put_back(self, params: Json) -> str:  # noqa: ARG002
        return "libvirt forgets it"

    def must_fit(self, params: Json, network: Network, machine: Machine) -> None:
        asked = text(machine.paths, params["blob"])
        name = name_of(asked)
        if uuid_of(asked) != network.uuid:
            raise StepRefused("network.malformed", f"The network {name} has another UUID than {network.uuid}.")
        if network.owner(name) or network.found is not None:
            said = f"There is a network {name}, or another one with the UUID {network.uuid}, already."
            raise StepRefused("network.exists", said, hints=("Choose another name, or see: vfioctl network list",))

    def state(self, step: Step, paths: Paths, network: Network) -> State:  # noqa: ARG002
        return State.AFTER if network.xml else State.BEFORE

    def apply(self, step: Step, machine: Machine) -> str | None:
        return self.on(step, machine, lambda network: self._apply(step, machine, network))

    def _apply(self, step: Step, machine: Machine, network: Network) -> str | None:
        if self.state(step, machine.paths, network) is State.AFTER:
            return "it is there already"
        self.must_fit(step.params, network, machine)  # as late as can be
        network.connection.networkDefineXML(text(machine.paths, step.params["blob"]))
        return None

    def undo(self, step: Step, machine: Machine) -> str | None:
        return self.on(step, machine, _undo)

    def foreign(self, step: Step, machine: Machine) -> str:  # noqa: ARG002
        return f"The network {step.params['uuid']} is somebody else's, and stays."


def _undo(network: Network) -> str | None:
    """One that is active was started since, by libvirt itself after a restart: it goes unless a guest is on it."""
    if (found := network.found) is None:
        return "it is gone already"
    if found.isActive():
        network.must_be_free(running=True)
        found.destroy()
    found.undefine()
    return None


KIND = NetworkDefine()
