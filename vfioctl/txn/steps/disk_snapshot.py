"""disk.snapshot: makes one snapshot of a quiescent disk. Knows no retention and no domain."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from vfioctl.txn.step import Finding, Lifetime, Scope, State, Undo
from vfioctl.txn.steps import images
from vfioctl.txn.steps.common import Budget, Primitive

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step, StepProposal

LOOK = 5.0  # seconds for a look at an image


class DiskSnapshot(Primitive):
    """{backend: "qcow2", path, name}"""

    name = "disk.snapshot"
    summary = "Makes a snapshot of a disk that is not in use; it is deleted again only when the start fails."
    undo_class = Undo.EXACT
    scope = Scope.TRANSACTION
    lifetime = Lifetime.DISK

    def resource(self, params: Json) -> str:
        return f"disk:{params['path']}"

    def baseline(self, params: Json, host: Host) -> Json:
        """Whether one of that name is there, which is then not ours to delete."""
        path = host.paths.at(params["path"])
        there = images.has_snapshot(host.programs, params["backend"], path, params["name"], deadline=LOOK)
        return {"exists": there}

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:
        params = proposal.params
        if params["backend"] not in images.BACKENDS:
            yield Finding("snapshot.backend", f"There is no snapshot backend {params['backend']!r}.")
        if not os.path.exists(host.paths.at(params["path"])):
            yield Finding("file.missing", f"There is no disk image {params['path']}.")

    def apply(self, step: Step, machine: Machine) -> str | None:
        if has(step, machine):
            return f"{step.params['path']} has a snapshot {step.params['name']!r} already"
        budget, create = Budget(step.deadline), images.backend(step.params["backend"]).create
        path = machine.paths.at(step.params["path"])
        images.change(machine.programs, create, path, step.params["name"], budget=budget, doing="Making")
        return None

    def probe(self, step: Step, machine: Machine) -> State:
        return State.BEFORE if has(step, machine) == step.baseline["exists"] else State.AFTER

    def undo(self, step: Step, machine: Machine) -> str | None:
        if step.baseline["exists"]:
            return f"snapshot {step.params['name']!r} was there before"
        return delete(step, machine)


def has(step: Step, machine: Machine) -> bool:
    params = step.params
    path = machine.paths.at(params["path"])
    return images.has_snapshot(machine.programs, params["backend"], path, params["name"], deadline=step.deadline)


def delete(step: Step, machine: Machine) -> str | None:
    """Delete the snapshot; why there was nothing to do, or None."""
    path, name = machine.paths.at(step.params["path"]), step.params["name"]
    if not has(step, machine):
        return f"{path} has no snapshot {name!r}"
    erase = images.backend(step.params["backend"]).delete
    images.change(machine.programs, erase, path, name, budget=Budget(step.deadline), doing="Deleting")
    return None


KIND = DiskSnapshot()
