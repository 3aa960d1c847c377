"""disk.snapshot_delete: deletes one snapshot of a disk, for retention after a stop. Never decides which."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from vfioctl.txn.step import Finding, Lifetime, Scope, State, Undo
from vfioctl.txn.steps import images
from vfioctl.txn.steps.common import Primitive
from vfioctl.txn.steps.disk_snapshot import delete, has

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

    def resource(self, params: Json) -> str:
        return f"snapshot:{params['path']}:{params['name']}"

    def touches(self, params: Json) -> tuple[str, ...]:
        return (f"disk:{params['path']}",)

    def baseline(self, params: Json, host: Host) -> Json:  # noqa: ARG002
        return {}

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:  # noqa: ARG002
        if proposal.params["backend"] not in images.BACKENDS:
            yield Finding("snapshot.backend", f"There is no snapshot backend {proposal.params['backend']!r}.")

    def apply(self, step: Step, machine: Machine) -> str | None:
        return delete(step, machine)

    def probe(self, step: Step, machine: Machine) -> State:
        return State.BEFORE if has(step, machine) else State.AFTER

    def undo(self, step: Step, machine: Machine) -> str | None:  # noqa: ARG002
        return f"snapshot {step.params['name']!r} cannot be brought back"


KIND = DiskSnapshotDelete()
