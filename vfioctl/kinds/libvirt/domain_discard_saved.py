"""domain.discard_saved: removes the saved memory of a guest, whose next start boots. There is no way back."""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.kinds.libvirt.domain_restore import must_be_saved
from vfioctl.kinds.libvirt.domains import URI, Domain, DomainChange, on
from vfioctl.txn.shape import UUID, Shape
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step


class DomainDiscardSaved(DomainChange):
    """{uri, uuid}"""

    name = "domain.discard_saved"
    summary = "Removes the saved memory of a guest, whose next start boots."
    undo_class = Undo.NONE
    takes = Shape(uri=URI, uuid=UUID)

    def must_fit(self, params: Json, domain: Domain, machine: Machine) -> None:  # noqa: ARG002
        must_be_saved(domain)

    def state(self, step: Step, paths: Paths, domain: Domain) -> State:  # noqa: ARG002
        found = domain.found
        return State.BEFORE if found is not None and found.hasManagedSaveImage(0) else State.AFTER

    def apply(self, step: Step, machine: Machine) -> str | None:
        return on(step, machine, _discard)

    def undo(self, step: Step, machine: Machine) -> str | None:  # noqa: ARG002
        return "what was saved is gone"


def _discard(domain: Domain) -> str | None:
    must_be_saved(domain)
    domain.handle.managedSaveRemove(0)
    return None


KIND = DomainDiscardSaved()
