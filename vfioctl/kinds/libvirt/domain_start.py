"""domain.start: starts a guest, which fires libvirt's hooks. The undo switches off what this operation has started.

A mark says so. It is set in the configuration, so that the guest has it from its first moment, and taken from there
while the guest is still paused: one that runs with the mark in its configuration was started by somebody after a crash.
"""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepRefused
from vfioctl.kinds.libvirt import marks
from vfioctl.kinds.libvirt.domains import URI, Domain, DomainChange, on
from vfioctl.txn.shape import NAME, UUID, Shape
from vfioctl.txn.step import Lifetime, Scope, State, Undo

if TYPE_CHECKING:
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step


class DomainStart(DomainChange):
    """{uri, uuid}"""

    name = "domain.start"
    summary = "Starts a guest; switched off again only on failure, and only when it was started by this."
    marks = True
    undo_class = Undo.EXACT
    scope = Scope.TRANSACTION
    lifetime = Lifetime.DISK  # no guest runs after a restart of its host, but the mark is in its configuration
    takes = Shape(uri=URI, uuid=UUID)
    keeps = Shape(operation=NAME)
    goes_on = (State.AFTER, State.BETWEEN)

    def put_back(self, params: Json) -> str:  # noqa: ARG002
        return "it is switched off"

    def must_fit(self, params: Json, domain: Domain, machine: Machine) -> None:  # noqa: ARG002
        """One that is not there may be about to be defined by an earlier step."""
        if (found := domain.found) is not None and found.isActive():
            said = f"The guest {found.name()} is running already."
            raise StepRefused("domain.running", said, hints=("Shut it down first, or leave it as it is.",))

    def state(self, step: Step, paths: Paths, domain: Domain) -> State:  # noqa: ARG002
        import libvirt

        if (handle := domain.found) is None:
            return State.BEFORE
        pending = marks.configured(handle, marks.STARTED) == _operation(step)
        if not handle.isActive():
            return State.BETWEEN if pending else State.BEFORE
        if marks.running(handle, marks.STARTED) != _operation(step):
            return State.FOREIGN
        if handle.state()[0] == libvirt.VIR_DOMAIN_PAUSED:
            return State.BETWEEN
        return State.FOREIGN if pending else State.AFTER

    def apply(self, step: Step, machine: Machine) -> str | None:
        """libvirt answers when its hooks have ended: that may be as long as the step has time."""
        return on(step, machine, lambda domain: self._start(step, machine.paths, domain))

    def _start(self, step: Step, paths: Paths, domain: Domain) -> str | None:
        import libvirt

        handle = domain.handle
        if self.state(step, paths, domain) is State.AFTER:
            return "it is running already"
        try:
            if not handle.isActive():
                marks.configure(handle, marks.STARTED, _operation(step))
                handle.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
        finally:
            marks.configure(handle, marks.STARTED, "")
        handle.resume()
        return None

    def undo(self, step: Step, machine: Machine) -> str | None:
        return on(step, machine, lambda domain: _stop(step, domain))

    def foreign(self, step: Step, machine: Machine) -> str:  # noqa: ARG002
        return f"The guest {step.params['uuid']} was started by somebody else, and runs on."


def _operation(step: Step) -> str:
    return str(step.baseline["operation"])


def _stop(step: Step, domain: Domain) -> str | None:
    handle = domain.handle
    if marks.configured(handle, marks.STARTED) == _operation(step):
        marks.configure(handle, marks.STARTED, "")
    if marks.running(handle, marks.STARTED) != _operation(step):
        return "it is off, or was not started by this"
    handle.destroy()
    return None


KIND = DomainStart()
