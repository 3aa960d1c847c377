"""disk.snapshot_apply: puts a disk back to one of the snapshots inside its image. Makes and deletes none."""

from __future__ import annotations

from collections.abc import Iterable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepRefused, VfioctlError
from vfioctl.findings import Finding
from vfioctl.kinds.common import Primitive
from vfioctl.kinds.disks import images
from vfioctl.shell import call, word
from vfioctl.txn.clock import Deadline
from vfioctl.txn.shape import ABSOLUTE, NAME, TEXT, Shape
from vfioctl.txn.step import Lifetime, Scope, State, Undo

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step, StepProposal

BACKEND = "qcow2"
LOOK = 5.0  # seconds for a look at an image


class DiskSnapshotApply(Primitive):
    """{path, name, kept, domain}: kept: the snapshot of the present state, which an earlier step of the same operation
    makes; domain: the UUID of the guest whose disk it is"""

    in_hooks = False
    name = "disk.snapshot_apply"
    summary = "Puts a disk that is not in use back to a snapshot inside its image; undone from the one made before it."
    undo_class = Undo.EXACT
    scope = Scope.TRANSACTION
    lifetime = Lifetime.DISK
    blind = True
    takes = Shape(path=ABSOLUTE, name=TEXT, kept=TEXT, domain=NAME)
    keeps = Shape(made=TEXT)

    def resource(self, params: Json) -> str:
        return f"disk:{params['path']}:content"

    def touches(self, params: Json) -> tuple[str, ...]:
        return f"disk:{params['path']}", f"domain:{params['domain']}"

    def put_back(self, params: Json) -> str:
        return f"the disk is as it was at {params['kept']!r}"

    def baseline(self, params: Json, host: Host) -> Json:
        """Which one is meant: by the time of the apply another one may have its name."""
        try:
            found = images.snapshots(host.shown, BACKEND, host.paths.at(params["path"]), deadline=LOOK)
        except VfioctlError:
            return {"made": ""}
        return {"made": _made(found, params["name"])}

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:
        path, name = host.paths.at(proposal.params["path"]), proposal.params["name"]
        try:
            found = images.snapshots(host.shown, BACKEND, path, deadline=LOOK)
        except VfioctlError as error:
            yield Finding(error.code, error.message)
            return
        if not _made(found, name):
            yield Finding("snapshot.missing", f"{path} has no snapshot {name!r} inside it.")

    def apply(self, step: Step, machine: Machine) -> str | None:
        params, path = step.params, machine.paths.at(step.params["path"])
        found = images.snapshots(machine.programs.run, BACKEND, path, deadline=step.deadline)
        if not step.baseline["made"] or _made(found, params["name"]) != step.baseline["made"]:
            said = f"The snapshot {params['name']!r} of {path} is not the one that was there when this was planned."
            raise StepRefused("snapshot.foreign", said)
        if not _made(found, params["kept"]):
            said = f"{path} has no snapshot {params['kept']!r}, which would bring its present state back."
            raise StepRefused("snapshot.missing", said)
        self._go(step, machine, params["name"])
        return None

    def probe(self, step: Step, machine: Machine) -> State:
        """An image does not say where its content came from; with the present state kept, an undo is never wrong."""
        path = machine.paths.at(step.params["path"])
        found = images.snapshots(machine.programs.run, BACKEND, path, deadline=step.deadline)
        return State.AFTER if _made(found, step.params["kept"]) else State.BEFORE

    def undo(self, step: Step, machine: Machine) -> str | None:
        self._go(step, machine, step.params["kept"])
        return None

    def render_undo(self, step: Step, paths: Paths) -> tuple[str, ...]:
        kept, path = step.params["kept"], paths.at(step.params["path"])
        return (call("say", f"the state of {path} is kept inside it: qemu-img snapshot -a {word(kept)} {word(path)}"),)

    def _go(self, step: Step, machine: Machine, name: str) -> None:
        path, deadline = machine.paths.at(step.params["path"]), Deadline(step.deadline)
        images.change(machine.programs, _back, path, name, deadline=deadline, doing="Going back to")


def _back(path: str, name: str) -> tuple[str, ...]:
    return "qemu-img", "snapshot", "-a", name, "--", path


def _made(found: tuple[images.Snapshot, ...], name: str) -> str:
    """When the first one of the name was made, which is the one that qemu-img takes; "" for none."""
    return next((one.made for one in found if one.name == name), "")


KIND = DiskSnapshotApply()
