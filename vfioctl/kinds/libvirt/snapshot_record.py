"""snapshot.record: tells libvirt of a snapshot that was made without it. Touches no disk, starts nothing."""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepRefused
from vfioctl.kinds.libvirt.documents import name_of, same_record
from vfioctl.kinds.libvirt.domains import SNAPSHOT, URI, Domain, SnapshotChange, on, text
from vfioctl.txn.blobs import BLOB
from vfioctl.txn.shape import FLAG, UUID, Shape, optional
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step


class SnapshotRecord(SnapshotChange):
    """{uri, uuid, name, blob, current?}: blob: the name of the <domainsnapshot>, which `vfioctl.txn.blobs.store` gives,
    whole, with creationTime, state, disks and domain; current: whether the next one lies below it, true unless it says
    otherwise"""

    name = "snapshot.record"
    summary = "Lets libvirt know of a snapshot that was made without it; forgotten again only on failure."
    undo_class = Undo.EXACT
    takes = Shape(uri=URI, uuid=UUID, name=SNAPSHOT, blob=BLOB, current=optional(FLAG))

    def put_back(self, params: Json) -> str:  # noqa: ARG002
        return "libvirt forgets it"

    def must_fit(self, params: Json, domain: Domain, machine: Machine) -> None:
        name = params["name"]
        if name_of(text(machine.paths, params["blob"])) != name:
            raise StepRefused("snapshot.malformed", f"What is to be recorded is not the snapshot {name!r}.")
        if domain.handle and domain.record(name):
            said = f"The guest has a snapshot {name!r} already."
            raise StepRefused("snapshot.exists", said, hints=("Choose another name.",))

    def state(self, step: Step, paths: Paths, domain: Domain) -> State:
        present = domain.record(step.params["name"])
        if not present:
            return State.BEFORE
        return State.AFTER if same_record(text(paths, step.params["blob"]), present) else State.FOREIGN

    def apply(self, step: Step, machine: Machine) -> str | None:
        return on(step, machine, lambda domain: self._apply(step, machine, domain))

    def _apply(self, step: Step, machine: Machine, domain: Domain) -> str | None:
        if self.state(step, machine.paths, domain) is State.AFTER:
            return f"libvirt knows of {step.params['name']!r} already"
        self.must_fit(step.params, domain, machine)  # as late as can be: libvirt replaces what it finds
        record(domain, text(machine.paths, step.params["blob"]), current=step.params.get("current", True))
        return None

    def undo(self, step: Step, machine: Machine) -> str | None:
        return on(step, machine, lambda domain: forget(domain, step.params["name"]))

    def foreign(self, step: Step, machine: Machine) -> str:  # noqa: ARG002
        uuid, name = step.params["uuid"], step.params["name"]
        said = f"libvirt's snapshot {name!r} of {uuid} was recorded by somebody else, or changed, and stays."
        return f"{said} {removal(uuid, name)}."


def record(domain: Domain, document: str, *, current: bool) -> None:
    """Let libvirt keep `document`; it replaces one of that name. Raises libvirtError."""
    import libvirt

    more = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT if current else 0
    domain.handle.snapshotCreateXML(document, libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE | more)


def forget(domain: Domain, name: str) -> str | None:
    """Let libvirt forget the snapshot `name`, and nothing else; returns why there was nothing to do."""
    import libvirt

    if (found := domain.snapshot(name)) is None:
        return f"libvirt knows of no snapshot {name!r}"
    found.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
    return None


def removal(uuid: str, name: str) -> str:
    """How libvirt is made to forget somebody else's, for a person."""
    from vfioctl.shell import word

    command = f"virsh snapshot-delete --domain {uuid} --snapshotname {word(name)} --metadata"
    return f"If nobody needs it, let libvirt forget it with: {command}"


KIND = SnapshotRecord()
