"""domain.rename: gives a guest that is off another name. libvirt moves its snapshots; files keep their names.

The UUID stays, and with it what vfioctl has pinned and the state of a TPM. The undo gives the former name back.
"""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepRefused
from vfioctl.kinds.libvirt.domain_define import must_be_off
from vfioctl.kinds.libvirt.domains import URI, Domain, DomainChange, on
from vfioctl.txn.shape import NAME, UUID, Shape
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step


class DomainRename(DomainChange):
    """{uri, uuid, name, former}: name, former: how it is to be called, and how it is called now"""

    name = "domain.rename"
    summary = "Gives a guest that is off another name; the former one only on failure."
    undo_class = Undo.EXACT
    takes = Shape(uri=URI, uuid=UUID, name=NAME, former=NAME)

    def put_back(self, params: Json) -> str:
        return f"it is called {params['former']} again"

    def must_fit(self, params: Json, domain: Domain, machine: Machine) -> None:  # noqa: ARG002
        if domain.handle.name() != params["former"]:
            said = f"The guest {params['uuid']} is not called {params['former']} any more."
            raise StepRefused("domain.changed", said, hints=("Look at it, then plan it once more.",))
        must_be_off(domain)
        if _is_taken(domain, params["name"]):
            raise StepRefused("domain.exists", f"There is a guest {params['name']} already.",
                              hints=("Choose another name, or see: vfioctl guest list",))  # fmt: skip

    def state(self, step: Step, paths: Paths, domain: Domain) -> State:  # noqa: ARG002
        found = domain.found
        known = {step.params["former"]: State.BEFORE, step.params["name"]: State.AFTER}
        return State.FOREIGN if found is None else known.get(found.name(), State.FOREIGN)

    def apply(self, step: Step, machine: Machine) -> str | None:
        return on(step, machine, lambda domain: _rename(domain, step.params["former"], step.params["name"]))

    def undo(self, step: Step, machine: Machine) -> str | None:
        return on(step, machine, lambda domain: _rename(domain, step.params["name"], step.params["former"]))

    def foreign(self, step: Step, machine: Machine) -> str:  # noqa: ARG002
        return f"The guest {step.params['uuid']} was renamed by somebody else, or is gone; it stays so."


def _rename(domain: Domain, former: str, name: str) -> str | None:
    if domain.handle.name() != former:
        return f"it is not called {former}"
    domain.handle.rename(name, 0)
    return None


def _is_taken(domain: Domain, name: str) -> bool:
    import libvirt

    try:
        domain.connection.lookupByName(name)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise
        return False
    return True


KIND = DomainRename()
