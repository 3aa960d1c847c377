"""domain.restore: starts a guest whose memory libvirt has saved; it goes on from there. There is no way back.

It is no domain.start: an undo that switches it off would lose what was saved. It calls libvirt's hooks as a start does.
"""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepRefused
from vfioctl.kinds.libvirt.domains import URI, Domain, DomainChange, on
from vfioctl.txn.shape import UUID, Shape
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step


class DomainRestore(DomainChange):
    """{uri, uuid}"""

    name = "domain.restore"
    summary = "Starts a saved guest, which goes on from its saved memory; it runs on."
    undo_class = Undo.NONE
    takes = Shape(uri=URI, uuid=UUID)

    def must_fit(self, params: Json, domain: Domain, machine: Machine) -> None:  # noqa: ARG002
        must_be_saved(domain)

    def state(self, step: Step, paths: Paths, domain: Domain) -> State:  # noqa: ARG002
        found = domain.found
        return State.AFTER if found is not None and found.isActive() else State.BEFORE

    def apply(self, step: Step, machine: Machine) -> str | None:
        """libvirt keeps the saved memory when the start fails."""
        return on(step, machine, _restore)

    def undo(self, step: Step, machine: Machine) -> str | None:  # noqa: ARG002
        return "it runs on"


def must_be_saved(domain: Domain) -> None:
    """Raise StepRefused("domain.running", "domain.not_saved") unless libvirt has saved its memory."""
    name = domain.handle.name()
    if domain.handle.isActive():
        raise StepRefused("domain.running", f"The guest {name} is running already.")
    if not domain.handle.hasManagedSaveImage(0):
        raise StepRefused("domain.not_saved", f"The guest {name} has no saved memory.")


def _restore(domain: Domain) -> str | None:
    if domain.handle.isActive():
        return "it is running already"
    must_be_saved(domain)  # as late as can be: without it libvirt would boot the guest
    domain.handle.create()
    return None


KIND = DomainRestore()
