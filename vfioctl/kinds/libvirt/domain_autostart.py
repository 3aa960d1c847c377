"""domain.autostart: whether a guest starts with its host. Starts and stops nothing."""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepRefused
from vfioctl.kinds.libvirt.domains import URI, Domain, PartChange, on
from vfioctl.txn.shape import FLAG, UUID, Shape
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step


class DomainAutostart(PartChange):
    """{uri, uuid, on, former}: on: whether it is to start with its host; former: whether it does now"""

    name = "domain.autostart"
    summary = "Says whether a guest starts with its host; said as before only on failure."
    undo_class = Undo.EXACT
    takes = Shape(uri=URI, uuid=UUID, on=FLAG, former=FLAG)

    def resource(self, params: Json) -> str:
        return f"autostart:{params['uuid']}"

    def put_back(self, params: Json) -> str:
        return "it starts with its host" if params["former"] else "it does not start with its host"

    def must_fit(self, params: Json, domain: Domain, machine: Machine) -> None:  # noqa: ARG002
        """One that is not there may be about to be defined by an earlier step."""
        if bool(domain.found and domain.found.autostart()) != params["former"]:
            said = f"Whether the guest {domain.uuid} starts with its host was changed since this was planned."
            raise StepRefused("domain.changed", said, hints=("Look at it, then plan it once more.",))

    def state(self, step: Step, paths: Paths, domain: Domain) -> State:  # noqa: ARG002
        if (handle := domain.found) is None:
            return State.BEFORE
        return State.AFTER if bool(handle.autostart()) == step.params["on"] else State.BEFORE

    def apply(self, step: Step, machine: Machine) -> str | None:
        return on(step, machine, lambda domain: _set(domain, step.params["on"]))

    def undo(self, step: Step, machine: Machine) -> str | None:
        return on(step, machine, lambda domain: _set(domain, step.params["former"]))


def _set(domain: Domain, wanted: bool) -> str | None:  # noqa: FBT001 -- it is what is said to libvirt
    handle = domain.handle
    if bool(handle.autostart()) == wanted:
        return "it is so already"
    handle.setAutostart(int(wanted))
    return None


KIND = DomainAutostart()
