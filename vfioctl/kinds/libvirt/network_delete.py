"""network.delete: lets libvirt forget a network that no guest is configured with; the undo defines it again."""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepRefused
from vfioctl.kinds.libvirt.change import URI
from vfioctl.kinds.libvirt.documents import canonical, name_of
from vfioctl.kinds.libvirt.domains import text
from vfioctl.kinds.libvirt.networks import LOOK_AGAIN, Network, NetworkChange
from vfioctl.txn.blobs import BLOB
from vfioctl.txn.shape import FLAG, UUID, Shape, optional
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step


class NetworkDelete(NetworkChange):
    """{uri, uuid, blob, autostart, stops?}: blob: the name of its configuration now; autostart: whether it starts with
    libvirt, and does so again after the undo; stops: an earlier step stops it"""

    name = "network.delete"
    summary = "Lets libvirt forget a network that no guest is configured with; defined again only on failure."
    undo_class = Undo.EXACT
    takes = Shape(uri=URI, uuid=UUID, blob=BLOB, autostart=FLAG, stops=optional(FLAG))

    def put_back(self, params: Json) -> str:  # noqa: ARG002
        return "it is defined again"

    def must_fit(self, params: Json, network: Network, machine: Machine) -> None:
        present = network.xml
        if not present or canonical(present) != canonical(text(machine.paths, params["blob"])):
            said = f"The network {network.uuid} was changed since this was planned, or is gone."
            raise StepRefused("network.changed", said, hints=LOOK_AGAIN)
        if network.is_active and not params.get("stops", False):
            said = f"The network {network.handle.name()} is active."
            raise StepRefused("network.active", said, hints=("Stop it first.",))
        network.must_be_free(running=False)

    def state(self, step: Step, paths: Paths, network: Network) -> State:
        former, present = text(paths, step.params["blob"]), network.xml
        if not present:
            return State.FOREIGN if network.owner(name_of(former)) else State.AFTER
        return State.BEFORE if canonical(present) == canonical(former) else State.FOREIGN

    def apply(self, step: Step, machine: Machine) -> str | None:
        return self.on(step, machine, lambda network: self._apply(step, machine, network))

    def _apply(self, step: Step, machine: Machine, network: Network) -> str | None:
        if (found := network.found) is None:
            return "it is gone already"
        self.must_fit({**step.params, "stops": False}, network, machine)  # as late as can be
        found.undefine()
        return None

    def undo(self, step: Step, machine: Machine) -> str | None:
        return self.on(step, machine, lambda network: _undo(step, machine.paths, network))

    def foreign(self, step: Step, machine: Machine) -> str:
        name = name_of(text(machine.paths, step.params["blob"]))
        return f"The network {name} is another one by now, or was changed by somebody else, and stays as it is."


def _undo(step: Step, paths: Paths, network: Network) -> None:
    if not network.xml:
        network.connection.networkDefineXML(text(paths, step.params["blob"]))
    network.handle.setAutostart(int(step.params["autostart"]))


KIND = NetworkDelete()
