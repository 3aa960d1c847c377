"""domain.suspend: lets a running guest stand still, with its memory. The undo lets one go on that this has paused.

A mark in the running guest says so: one that somebody else pauses stays paused.
"""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepRefused
from vfioctl.kinds.libvirt import marks
from vfioctl.kinds.libvirt.domains import URI, Domain, DomainChange, is_paused, must_run, on
from vfioctl.txn.shape import NAME, UUID, Shape
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step


class DomainSuspend(DomainChange):
    """{uri, uuid}"""

    name = "domain.suspend"
    summary = "Pauses a guest; it goes on again only on failure, and only when it was paused by this."
    marks = True
    undo_class = Undo.EXACT
    takes = Shape(uri=URI, uuid=UUID)
    keeps = Shape(operation=NAME)
    goes_on = (State.AFTER, State.BETWEEN)

    def put_back(self, params: Json) -> str:  # noqa: ARG002
        return "it goes on"

    def must_fit(self, params: Json, domain: Domain, machine: Machine) -> None:  # noqa: ARG002
        must_run(domain.handle)
        if is_paused(domain.handle):
            raise StepRefused("domain.paused", f"The guest {domain.handle.name()} is paused already.")

    def state(self, step: Step, paths: Paths, domain: Domain) -> State:  # noqa: ARG002
        if (handle := domain.found) is None or not handle.isActive():
            return State.BEFORE
        ours = marks.running(handle, marks.PAUSED) == step.baseline["operation"]
        if is_paused(handle):
            return State.AFTER if ours else State.FOREIGN
        return State.BETWEEN if ours else State.BEFORE

    def apply(self, step: Step, machine: Machine) -> str | None:
        return on(step, machine, lambda domain: self._pause(step, machine.paths, domain))

    def _pause(self, step: Step, paths: Paths, domain: Domain) -> str | None:
        if self.state(step, paths, domain) is State.AFTER:
            return "it is paused already"
        marks.tell(domain.handle, marks.PAUSED, step.baseline["operation"])
        domain.handle.suspend()
        return None

    def undo(self, step: Step, machine: Machine) -> str | None:
        return on(step, machine, lambda domain: _go_on(step, domain))

    def foreign(self, step: Step, machine: Machine) -> str:  # noqa: ARG002
        return f"The guest {step.params['uuid']} was paused by somebody else, and stays so."


def _go_on(step: Step, domain: Domain) -> str | None:
    handle = domain.handle
    if marks.running(handle, marks.PAUSED) != step.baseline["operation"]:
        return "it is off, or was not paused by this"
    if is_paused(handle):
        handle.resume()
    marks.tell(handle, marks.PAUSED, "")
    return None


KIND = DomainSuspend()
