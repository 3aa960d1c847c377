"""domain.save: writes the memory of a running guest to a file of libvirt's and ends it; its next start goes on there.

Whoever cancels, or a full disk, lets it go on. Its end calls libvirt's hooks as each end does.
"""

from __future__ import annotations

from contextlib import suppress

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed, StepRefused, VfioctlError
from vfioctl.kinds.libvirt.domains import URI, Domain, DomainChange, afresh, asked, must_run
from vfioctl.txn.shape import UUID, Shape
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step

LOOK = 5.0  # seconds for a question how far it is


class DomainSave(DomainChange):
    """{uri, uuid}"""

    name = "domain.save"
    summary = "Saves the memory of a running guest and ends it; its next start goes on from there."
    undo_class = Undo.NONE
    takes = Shape(uri=URI, uuid=UUID)

    def must_fit(self, params: Json, domain: Domain, machine: Machine) -> None:  # noqa: ARG002
        must_run(domain.handle)
        if not domain.handle.isPersistent():
            said = f"The guest {domain.handle.name()} has no configuration that stays, so nothing would start it again."
            raise StepRefused("domain.transient", said, hints=("Define it first: virsh define",))

    def state(self, step: Step, paths: Paths, domain: Domain) -> State:  # noqa: ARG002
        found = domain.found
        saved = found is not None and not found.isActive() and found.hasManagedSaveImage(0)
        return State.AFTER if saved else State.BEFORE

    def apply(self, step: Step, machine: Machine) -> str | None:
        """Raises StepFailed where it was stopped; the guest runs on then."""
        if self.probe(step, machine) is State.AFTER:
            return "it is saved already"
        telling = machine.watched(machine.report, lambda: _watch(step, machine))
        try:
            asked(telling, step.params, lambda domain: domain.handle.managedSave(0), step.deadline)
        except StepFailed:
            with suppress(VfioctlError):
                afresh(step, machine, lambda domain: domain.handle.abortJob())
            raise
        return None

    def undo(self, step: Step, machine: Machine) -> str | None:  # noqa: ARG002
        return "it stays saved, and its next start goes on from there"


def _watch(step: Step, machine: Machine) -> None:
    """Say how far libvirt is, as far as it says so."""
    machine.checkpoint()
    with suppress(VfioctlError):
        job = asked(machine, step.params, lambda domain: domain.handle.jobInfo(), LOOK)
        done, total = job[4], job[3]  # dataProcessed, dataTotal (virDomainJobInfo)
        if total:
            machine.progress(min(done, total), total, "bytes")


KIND = DomainSave()
