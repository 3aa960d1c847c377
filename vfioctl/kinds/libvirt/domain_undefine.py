"""domain.undefine: lets libvirt forget a guest that is off. Removes no disk: those go by steps of their own.

What libvirt keeps of it is a blob (txn/blobs.py), from which the undo defines it again.
"""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed, StepRefused
from vfioctl.kinds.libvirt.documents import canonical, name_of
from vfioctl.kinds.libvirt.domain_define import KEEPS_TPM, must_be_off
from vfioctl.kinds.libvirt.domains import URI, Domain, DomainChange, on, text
from vfioctl.txn.blobs import BLOB
from vfioctl.txn.shape import FLAG, UUID, Shape, many, one_of, optional
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step

NVRAM, TPM = "nvram", "tpm"


class DomainUndefine(DomainChange):
    """{uri, uuid, blob, drop?, autostart?}: blob: the name of what libvirt keeps of it now, with what is secret in it;
    drop: "nvram", "tpm", whose files libvirt removes with it, where no other guest has that NVRAM; autostart:
    whether it starts with its host, which the undo sets again"""

    name = "domain.undefine"
    summary = "Lets libvirt forget a guest that is off, not its disks; defined again only on failure."
    undo_class = Undo.EXACT
    takes = Shape(uri=URI, uuid=UUID, blob=BLOB, drop=optional(many(one_of(NVRAM, TPM))), autostart=optional(FLAG))

    def undo_of(self, params: Json) -> Undo:
        """What was dropped with it is new when it is defined again."""
        return Undo.RECREATED if params.get("drop") else self.undo_class

    def put_back(self, params: Json) -> str:
        dropped = " and ".join(params.get("drop", ()))
        return f"libvirt knows it again, with a new {dropped}" if dropped else "libvirt knows it again"

    def must_fit(self, params: Json, domain: Domain, machine: Machine) -> None:
        former = text(machine.paths, params["blob"])
        if not domain.xml or canonical(domain.xml) != canonical(former):
            said = f"The configuration of the guest {domain.uuid} was changed since this was planned, or is gone."
            raise StepRefused("domain.changed", said, hints=("Look at it, then plan it once more.",))
        must_be_off(domain)
        if NVRAM in params.get("drop", ()):
            _must_be_its_own(params, former, domain, machine)

    def state(self, step: Step, paths: Paths, domain: Domain) -> State:
        present = domain.xml
        if not present:
            return State.AFTER
        same = canonical(present) == canonical(text(paths, step.params["blob"]))
        return State.BEFORE if same else State.FOREIGN

    def apply(self, step: Step, machine: Machine) -> str | None:
        return on(step, machine, lambda domain: self._apply(step, machine, domain))

    def _apply(self, step: Step, machine: Machine, domain: Domain) -> str | None:
        if not domain.xml:
            return "libvirt does not know it"
        self.must_fit(step.params, domain, machine)  # as late as can be
        _must_have_no_snapshots(domain)
        domain.handle.undefineFlags(_flags(step.params.get("drop", ()), domain))
        return None

    def undo(self, step: Step, machine: Machine) -> str | None:
        return on(step, machine, lambda domain: _undo(step, machine.paths, domain))

    def foreign(self, step: Step, machine: Machine) -> str:  # noqa: ARG002
        return f"The guest {step.params['uuid']} is configured otherwise than when this was planned, and stays so."


def _flags(drop: tuple[str, ...], domain: Domain) -> int:
    import libvirt

    flags = libvirt.VIR_DOMAIN_UNDEFINE_NVRAM if NVRAM in drop else libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM
    if domain.connection.getLibVersion() >= KEEPS_TPM:
        flags |= libvirt.VIR_DOMAIN_UNDEFINE_TPM if TPM in drop else libvirt.VIR_DOMAIN_UNDEFINE_KEEP_TPM
    return int(flags)


def _must_have_no_snapshots(domain: Domain) -> None:
    """libvirt would forget them as well, or refuse. Earlier steps of the same plan may take them away."""
    if names := domain.handle.snapshotListNames():
        said = f"libvirt knows snapshots of the guest {domain.handle.name()}: {', '.join(sorted(names))}."
        raise StepRefused("domain.snapshots", said, hints=("Delete them first, then plan it once more.",))


def _must_be_its_own(params: Json, former: str, domain: Domain, machine: Machine) -> None:
    """Raise StepRefused where another guest has its NVRAM: libvirt removes the file without a look."""
    from vfioctl.virt.disks import guest_firmware
    from vfioctl.virt.uses import other_sources

    nvram = guest_firmware(former).nvram
    if nvram and nvram in other_sources(machine.libvirt(params["uri"]), domain.uuid):
        said = f"The NVRAM {nvram} of the guest {name_of(former)} is used by another guest as well."
        raise StepRefused("domain.nvram_shared", said, hints=("Keep the file, then plan it once more.",))


def _undo(step: Step, paths: Paths, domain: Domain) -> None:
    former = text(paths, step.params["blob"])
    _must_be_free(domain, name_of(former))
    domain.connection.defineXML(former)
    if step.params.get("autostart"):
        domain.handle.setAutostart(1)


def _must_be_free(domain: Domain, name: str) -> None:
    import libvirt

    try:
        other = domain.connection.lookupByName(name)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return
        raise
    if other.UUIDString() != domain.uuid:
        said = f"The guest {name} cannot be defined again: another one has its name by now."
        raise StepFailed("domain.exists", said, hints=("Rename that one with virsh domrename, then: vfioctl recover",))


KIND = DomainUndefine()
