"""disk.snapshot: makes one snapshot of a quiescent disk. Knows no retention and no domain."""

from __future__ import annotations

import os
from collections.abc import Iterable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepRefused
from vfioctl.findings import Finding
from vfioctl.kinds.common import Primitive
from vfioctl.kinds.disks import images
from vfioctl.shell import call, word
from vfioctl.txn.clock import Deadline
from vfioctl.txn.shape import ABSOLUTE, FLAG, TEXT, Shape, one_of, optional
from vfioctl.txn.step import Lifetime, Scope, State, Undo

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step, StepProposal

LOOK = 5.0  # seconds for a look at an image


class DiskSnapshot(Primitive):
    """{backend: "qcow2", path, name}; the name gets the operation's id at its end, so that an undo knows its own"""

    name = "disk.snapshot"
    summary = "Makes a snapshot of a disk that is not in use; it is deleted again only when the start fails."
    marks = True
    undo_class = Undo.EXACT
    scope = Scope.TRANSACTION
    lifetime = Lifetime.DISK
    takes = Shape(backend=one_of(*images.BACKENDS), path=ABSOLUTE, name=TEXT)
    keeps = Shape(exists=FLAG, operation=optional(TEXT))

    def resource(self, params: Json) -> str:
        return f"disk:{params['path']}"

    def baseline(self, params: Json, host: Host) -> Json:
        """Whether one of that name is there, which is then not ours to delete."""
        found = images.snapshots(host.shown, params["backend"], host.paths.at(params["path"]), deadline=LOOK)
        return {"exists": params["name"] in {snapshot.name for snapshot in found}}

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:
        params = proposal.params
        if params["backend"] not in images.BACKENDS:
            yield Finding("snapshot.backend", f"There is no snapshot backend {params['backend']!r}.")
        path = host.paths.at(params["path"])
        if not host.ask(path, lambda: os.path.exists(path)):
            yield Finding("file.missing", f"There is no disk image {params['path']}.")

    def apply(self, step: Step, machine: Machine) -> str | None:
        path, name = machine.paths.at(step.params["path"]), full_name(step)
        if name in names(step, machine):
            if _is_marked(step) or step.baseline["exists"]:
                return f"{path} has a snapshot {name!r} already"
            said = f"Somebody else has made a snapshot {name!r} of {path}."
            raise StepRefused("snapshot.foreign", said, hints=(removal(path, name),))
        deadline, create = Deadline(step.deadline), images.backend(step.params["backend"]).create
        images.change(machine.programs, create, path, name, deadline=deadline, doing="Making")
        return None

    def probe(self, step: Step, machine: Machine) -> State:
        found = names(step, machine)
        if full_name(step) in found:
            return State.AFTER if _is_marked(step) or not step.baseline["exists"] else State.BEFORE
        return State.FOREIGN if step.params["name"] in found and not step.baseline["exists"] else State.BEFORE

    def undo(self, step: Step, machine: Machine) -> str | None:
        path, name = machine.paths.at(step.params["path"]), full_name(step)
        if name not in names(step, machine):
            return f"{path} has no snapshot {name!r}"
        if step.baseline["exists"] and not _is_marked(step):
            return f"snapshot {name!r} was there before"
        erase = images.backend(step.params["backend"]).delete
        images.change(machine.programs, erase, path, name, deadline=Deadline(step.deadline), doing="Deleting")
        return None

    def foreign(self, step: Step, machine: Machine) -> str:
        path, name = machine.paths.at(step.params["path"]), step.params["name"]
        return f"The snapshot {name!r} of {path} was made by somebody else and stays. {removal(path, name)}."

    def render_undo(self, step: Step, paths: Paths) -> tuple[str, ...]:
        said = f"the snapshot {full_name(step)} of {paths.at(step.params['path'])} is left to: vfioctl recover"
        return (call("say", said),)


def removal(path: str, name: str) -> str:
    """How a snapshot that is not ours to delete is deleted."""
    return f"If nobody needs it, delete it with: qemu-img snapshot -d {word(name)} {word(path)}"


def full_name(step: Step) -> str:
    """The name that the snapshot gets: with the operation's id at its end, since there is no other place for a mark."""
    name, operation = step.params["name"], step.baseline.get("operation")
    return f"{name}-{operation}" if operation else str(name)


def _is_marked(step: Step) -> bool:
    """Whether the name proves who made it; a plan of schema 1 has no mark."""
    return bool(step.baseline.get("operation"))


def names(step: Step, machine: Machine) -> tuple[str, ...]:
    """The names of the snapshots that the step's image has."""
    path = machine.paths.at(step.params["path"])
    found = images.snapshots(machine.programs.run, step.params["backend"], path, deadline=step.deadline)
    return tuple(snapshot.name for snapshot in found)


KIND = DiskSnapshot()
