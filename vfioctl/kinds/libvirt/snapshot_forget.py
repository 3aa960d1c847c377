"""snapshot.forget: lets libvirt forget a snapshot. Touches no disk, starts nothing: those go by steps of their own."""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepRefused
from vfioctl.kinds.libvirt.documents import parent_of, reparented, same_record
from vfioctl.kinds.libvirt.domains import SNAPSHOT, URI, Domain, SnapshotChange, on, text
from vfioctl.kinds.libvirt.snapshot_record import forget, record
from vfioctl.txn.blobs import BLOB
from vfioctl.txn.shape import FLAG, UUID, Shape, many, optional
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step


class SnapshotForget(SnapshotChange):
    """{uri, uuid, name, blob, children?, current?, for_good?}: blob: the name of what libvirt keeps of it now, with
    what is secret in it; children: the names of those right below it, which the undo hangs there again; current:
    whether it is the current one; for_good: no undo, since the steps after it change what its disks hold"""

    name = "snapshot.forget"
    summary = "Lets libvirt forget a snapshot, not its disks; recorded again only on failure."
    undo_class = Undo.EXACT
    takes = Shape(
        uri=URI, uuid=UUID, name=SNAPSHOT, blob=BLOB, children=optional(many(SNAPSHOT)), current=optional(FLAG),
        for_good=optional(FLAG),
    )  # fmt: skip

    def undo_of(self, params: Json) -> Undo:
        return Undo.NONE if params.get("for_good", False) else self.undo_class

    def put_back(self, params: Json) -> str:
        return "it stays forgotten" if params.get("for_good", False) else "libvirt knows of it again"

    def must_fit(self, params: Json, domain: Domain, machine: Machine) -> None:
        name, present = params["name"], domain.handle and domain.record(params["name"])
        if not present or not same_record(text(machine.paths, params["blob"]), present):
            said = f"libvirt's snapshot {name!r} was changed since this was planned, or is gone."
            raise StepRefused("snapshot.changed", said, hints=("Look at it, then plan it once more.",))

    def state(self, step: Step, paths: Paths, domain: Domain) -> State:
        present = domain.record(step.params["name"])
        if not present:
            return State.AFTER
        same = same_record(text(paths, step.params["blob"]), present)
        if not same:
            return State.FOREIGN
        return State.BETWEEN if _orphans(step, domain) else State.BEFORE

    def apply(self, step: Step, machine: Machine) -> str | None:
        return on(step, machine, lambda domain: _apply(step, domain))

    def undo(self, step: Step, machine: Machine) -> str | None:
        if step.params.get("for_good", False):
            return "it stays forgotten"
        return on(step, machine, lambda domain: _undo(step, machine.paths, domain))

    def foreign(self, step: Step, machine: Machine) -> str:  # noqa: ARG002
        return f"libvirt's snapshot {step.params['name']!r} is another one than was planned, and stays."


def _apply(step: Step, domain: Domain) -> str | None:
    """Hang those below it elsewhere first: libvirt would let their disks be those of the forgotten one (9.0, 11.3)."""
    name = step.params["name"]
    parent = parent_of(domain.record(name))
    for child in step.params.get("children", ()):
        document = domain.record(child)
        if parent_of(document) == name:
            _hang(domain, child, reparented(document, parent))
    return forget(domain, name)


def _hang(domain: Domain, name: str, document: str) -> None:
    found = domain.snapshot(name)
    record(domain, document, current=found is not None and bool(found.isCurrent()))


def _orphans(step: Step, domain: Domain) -> dict[str, str]:
    """What libvirt keeps of those that were below it, and are not now."""
    kept = {name: domain.record(name) for name in step.params.get("children", ())}
    hung = {name: reparented(document, step.params["name"]) for name, document in kept.items() if document}
    return {name: document for name, document in hung.items() if not same_record(document, kept[name])}


def _undo(step: Step, paths: Paths, domain: Domain) -> None:
    """It is recorded again, and what was below it is hung there again."""
    current = step.params.get("current", False)
    if not domain.record(step.params["name"]):
        record(domain, text(paths, step.params["blob"]), current=current)
    for name, document in _orphans(step, domain).items():
        _hang(domain, name, document)


KIND = SnapshotForget()
