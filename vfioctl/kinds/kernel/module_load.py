"""module.load: loads a kernel module and keeps it. Never unloads one: other guests may use vfio modules by then."""

from __future__ import annotations

import os

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed
from vfioctl.kinds.common import Primitive, load_module
from vfioctl.txn.shape import FLAG, NAME, TEXT, Shape, maybe, optional, table
from vfioctl.txn.step import Lifetime, Scope, State, Undo

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step


class ModuleLoad(Primitive):
    """{module, parameters?: {name: value}}"""

    name = "module.load"
    summary = "Loads a kernel module; it stays loaded, since another guest may use it by then."
    undo_class = Undo.NONE
    scope = Scope.LEASE
    lifetime = Lifetime.BOOT
    takes = Shape(module=NAME, parameters=optional(maybe(table(NAME, TEXT))))
    keeps = Shape(loaded=FLAG)

    def resource(self, params: Json) -> str:
        return f"module:{params['module']}"

    def baseline(self, params: Json, host: Host) -> Json:
        return {"loaded": _there(host.paths, params["module"])}

    def apply(self, step: Step, machine: Machine) -> str | None:
        module = step.params["module"]
        if _there(machine.paths, module):
            return f"{module} is already there"
        options = (f"{key}={value}" for key, value in (step.params.get("parameters") or {}).items())
        load_module(machine, module, *options, deadline=step.deadline)
        if not _there(machine.paths, module):
            raise StepFailed("module.load_failed", f"modprobe {module} succeeded, but the module is not there.")
        return None

    def probe(self, step: Step, machine: Machine) -> State:
        there = _there(machine.paths, step.params["module"])
        return State.BEFORE if there == step.baseline["loaded"] else State.AFTER

    def undo(self, step: Step, machine: Machine) -> str | None:  # noqa: ARG002
        return f"{step.params['module']} stays loaded"


def _there(paths: Paths, module: str) -> bool:
    """Loaded or built in."""
    return os.path.exists(paths.at("sys/module", module.replace("-", "_")))


KIND = ModuleLoad()
