"""domain.resume: lets a paused guest go on, or wakes one that sleeps. There is no way back: it has run since.

QEMU pauses a guest whose disk could not be written, and does so again while the host has no room for it.
"""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed
from vfioctl.kinds.libvirt.domains import URI, Domain, DomainChange, must_run, on
from vfioctl.txn.shape import UUID, Shape
from vfioctl.txn.step import State, Undo
from vfioctl.wait import until

if TYPE_CHECKING:
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step

SETTLED = 1.0  # seconds in which a disk without room stops it again: its write was on hold


class DomainResume(DomainChange):
    """{uri, uuid}"""

    name = "domain.resume"
    summary = "Lets a paused guest go on, and wakes one that sleeps; it is not paused again."
    undo_class = Undo.NONE
    takes = Shape(uri=URI, uuid=UUID)

    def must_fit(self, params: Json, domain: Domain, machine: Machine) -> None:  # noqa: ARG002
        must_run(domain.handle)

    def state(self, step: Step, paths: Paths, domain: Domain) -> State:  # noqa: ARG002
        found = domain.found
        return State.BEFORE if found is None or not found.isActive() or _rests(domain) else State.AFTER

    def apply(self, step: Step, machine: Machine) -> str | None:
        if not on(step, machine, _rests):
            return "it runs already"
        if on(step, machine, _go_on) and until(lambda: on(step, machine, _rests), SETTLED):
            raise StepFailed(
                "guest.no_room", f"The guest {step.params['uuid']} was paused again: a disk of it cannot be written.",
                state="It has lost nothing.", hints=("Make room where its disks are: df -h", "Then resume it again."),
            )  # fmt: skip
        return None

    def undo(self, step: Step, machine: Machine) -> str | None:  # noqa: ARG002
        return "it is not paused again"


def _rests(domain: Domain) -> bool:
    import libvirt

    return domain.handle.state()[0] in (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PMSUSPENDED)


def _go_on(domain: Domain) -> bool:
    """Whether it stood still because of a disk."""
    import libvirt

    state, why = domain.handle.state()
    if state == libvirt.VIR_DOMAIN_PMSUSPENDED:
        domain.handle.pMWakeup(0)
    else:
        domain.handle.resume()
    return bool(state == libvirt.VIR_DOMAIN_PAUSED and why == libvirt.VIR_DOMAIN_PAUSED_IOERROR)


KIND = DomainResume()
