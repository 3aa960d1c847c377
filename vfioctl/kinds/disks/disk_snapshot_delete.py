"""disk.snapshot_delete: deletes one snapshot of a disk, for retention after a stop. Never another one of that name."""

from __future__ import annotations

from collections.abc import Iterable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepRefused, VfioctlError
from vfioctl.findings import Finding
from vfioctl.kinds.common import Primitive
from vfioctl.kinds.disks import images
from vfioctl.kinds.disks.disk_snapshot import LOOK, removal
from vfioctl.txn.clock import Deadline
from vfioctl.txn.shape import ABSOLUTE, TEXT, Shape, maybe, one_of, optional
from vfioctl.txn.step import Lifetime, Scope, State, Undo

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step, StepProposal


class DiskSnapshotDelete(Primitive):
    """{backend: "qcow2", path, name}"""

    name = "disk.snapshot_delete"
    summary = "Deletes a snapshot of a disk, as retention asks after the guest has stopped; nothing brings it back."
    undo_class = Undo.NONE
    scope = Scope.TRANSACTION
    lifetime = Lifetime.DISK
    takes = Shape(backend=one_of(*images.BACKENDS), path=ABSOLUTE, name=TEXT)
    keeps = Shape(made=optional(maybe(TEXT)))

    def resource(self, params: Json) -> str:  # noqa: ARG002
        """None of its own: a plan deletes several of one disk, and one lock is enough for all of them."""
        return ""

    def touches(self, params: Json) -> tuple[str, ...]:
        return (f"disk:{params['path']}",)

    def baseline(self, params: Json, host: Host) -> Json:
        """Which one is meant, None for none: by the time of the deletion another one may have its name."""
        path = host.paths.at(params["path"])
        try:
            found = images.snapshots(host.shown, params["backend"], path, deadline=LOOK)
        except VfioctlError:
            return {"made": None}
        return {"made": next((one.made for one in found if one.name == params["name"]), None)}

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:  # noqa: ARG002
        if proposal.params["backend"] not in images.BACKENDS:
            yield Finding("snapshot.backend", f"There is no snapshot backend {proposal.params['backend']!r}.")

    def apply(self, step: Step, machine: Machine) -> str | None:
        path, name = machine.paths.at(step.params["path"]), step.params["name"]
        state = self.probe(step, machine)
        if state is State.AFTER:
            return f"{path} has no snapshot {name!r}"
        if state is State.FOREIGN:
            raise StepRefused("snapshot.foreign", self.foreign(step, machine))
        erase = images.backend(step.params["backend"]).delete
        images.change(machine.programs, erase, path, name, deadline=Deadline(step.deadline), doing="Deleting")
        return None

    def probe(self, step: Step, machine: Machine) -> State:
        """The first one of a name is the one that a deletion by name takes (bdrv_snapshot_find in QEMU)."""
        path, name = machine.paths.at(step.params["path"]), step.params["name"]
        found = images.snapshots(machine.programs.run, step.params["backend"], path, deadline=step.deadline)
        first = next((one for one in found if one.name == name), None)
        if first is None:
            return State.AFTER
        return State.BEFORE if step.baseline.get("made", first.made) == first.made else State.FOREIGN

    def undo(self, step: Step, machine: Machine) -> str | None:  # noqa: ARG002
        return f"snapshot {step.params['name']!r} cannot be brought back"

    def foreign(self, step: Step, machine: Machine) -> str:
        path, name = machine.paths.at(step.params["path"]), step.params["name"]
        was = "is not the one that was there when this was planned, and stays"
        return f"The snapshot {name!r} of {path} {was}. {removal(path, name)}."


KIND = DiskSnapshotDelete()
