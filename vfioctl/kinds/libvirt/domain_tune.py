"""domain.tune: gives a running guest more or fewer CPUs and another size of memory, within what it was started with.

Its configuration is domain.define's. A guest gives memory back as its balloon driver does, and may take its time.
"""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepRefused
from vfioctl.kinds.libvirt.domains import URI, Domain, PartChange, must_run, on
from vfioctl.txn.shape import COUNT, UUID, Form, Shape, one_of
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step

CPUS, MEMORY = "cpus", "memory"
POSITIVE = Form("a whole number above 0", lambda value: COUNT.fits(value) and value > 0)


class DomainTune(PartChange):
    """{uri, uuid, what, value, former}: what: "cpus", or "memory" in KiB; value, former: what it is to have, and has
    now"""

    name = "domain.tune"
    summary = "Gives a running guest another number of CPUs or size of memory; the former one only on failure."
    undo_class = Undo.EXACT
    takes = Shape(uri=URI, uuid=UUID, what=one_of(CPUS, MEMORY), value=POSITIVE, former=POSITIVE)

    def resource(self, params: Json) -> str:
        return f"{params['what']}:{params['uuid']}"  # a plan may be about both

    def put_back(self, params: Json) -> str:
        return f"it has {params['former']} again"

    def must_fit(self, params: Json, domain: Domain, machine: Machine) -> None:  # noqa: ARG002
        must_run(domain.handle)
        if _present(domain.handle, params["what"]) != params["former"]:
            said = f"The {params['what']} of the guest {domain.handle.name()} was changed since this was planned."
            raise StepRefused("domain.changed", said, hints=("Look at it, then plan it once more.",))

    def state(self, step: Step, paths: Paths, domain: Domain) -> State:  # noqa: ARG002
        found = domain.found
        if found is None or not found.isActive():
            return State.BEFORE  # what it had is gone with its end
        known = {step.params["former"]: State.BEFORE, step.params["value"]: State.AFTER}
        return known.get(_present(found, step.params["what"]), State.FOREIGN)

    def apply(self, step: Step, machine: Machine) -> str | None:
        return on(step, machine, lambda domain: _set(domain.handle, step.params["what"], step.params["value"]))

    def undo(self, step: Step, machine: Machine) -> str | None:
        return on(step, machine, lambda domain: _set(domain.handle, step.params["what"], step.params["former"]))

    def foreign(self, step: Step, machine: Machine) -> str:  # noqa: ARG002
        return f"The {step.params['what']} of the guest {step.params['uuid']} is somebody else's choice, and stays."


def _present(handle: Any, what: str) -> int:
    """What libvirt was asked for last; a guest may still be giving memory back."""
    from xml.etree import ElementTree as ET

    import libvirt

    if what == CPUS:
        return int(handle.vcpusFlags(libvirt.VIR_DOMAIN_AFFECT_LIVE))
    return int(ET.fromstring(handle.XMLDesc(0)).findtext("currentMemory", "0"))


def _set(handle: Any, what: str, value: int) -> None:
    import libvirt

    change = handle.setVcpusFlags if what == CPUS else handle.setMemoryFlags
    change(value, libvirt.VIR_DOMAIN_AFFECT_LIVE)


KIND = DomainTune()
