"""module.unload: unloads a stack of modules from the top. Counts every user before the first module goes."""

from __future__ import annotations

import os
from collections.abc import Iterable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import DeadlineExceeded, StepFailed
from vfioctl.findings import Finding
from vfioctl.host.readers import text
from vfioctl.kinds.common import (
    ADDRESS,
    Primitive,
    driver_of,
    load_module,
    module_loaded,
    name_holders,
    probe_drivers,
    read_override,
    run_blocking,
    seconds,
    set_override,
)
from vfioctl.kinds.stuck import refuse_stuck, stuck_write
from vfioctl.shell import call
from vfioctl.txn.clock import Deadline
from vfioctl.txn.shape import NAME, PROGRAM, Shape, many, maybe, optional, table
from vfioctl.txn.step import Lifetime, Scope, State, Undo
from vfioctl.wait import until

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.host.model import Module
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step, StepProposal

SETTLE = 0.5  # a process that has just ended drops its last reference a moment later


class ModuleUnload(Primitive):
    """{modules: in unload order, devices: addresses on them, program?: "modprobe"}"""

    name = "module.unload"
    summary = "Unloads a stack of kernel modules, after counting the users of each; its devices end without a driver."
    undo_class = Undo.EXACT
    scope = Scope.LEASE
    lifetime = Lifetime.BOOT
    takes = Shape(modules=many(NAME), devices=optional(many(ADDRESS)), program=optional(PROGRAM))
    keeps = Shape(modules=many(NAME), drivers=table(ADDRESS, maybe(NAME)))

    def resource(self, params: Json) -> str:
        """The modules for these devices' sake: they may be loaded for another's, and taken away for its sake too."""
        module, devices = f"module:{params['modules'][-1]}", ", ".join(params.get("devices", ()))
        return f"{module} for {devices}" if devices else module

    def touches(self, params: Json) -> tuple[str, ...]:
        modules = (f"module:{module}" for module in params["modules"])
        return (*modules, *(f"pci:{address}" for address in params.get("devices", ())))

    def put_back(self, params: Json) -> str:  # noqa: ARG002
        return "they are loaded again"

    def reloads(self, params: Json) -> tuple[str, ...]:
        return tuple(params["modules"])

    def baseline(self, params: Json, host: Host) -> Json:
        loaded = [module for module in params["modules"] if host.module(module)]
        return {"modules": loaded, "drivers": {a: host.device(a).driver for a in params.get("devices", ())}}

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:
        """A module that another one outside the stack needs can never go."""
        stack = set(proposal.params["modules"])
        for name in proposal.params["modules"]:
            module = host.module(name)
            if strangers := sorted(set(module.holders if module else ()) - stack):
                message = f"The module {name} cannot be unloaded: {', '.join(strangers)} uses it."
                yield Finding("module.used", message, hint=f"Unload first: {' '.join(strangers)}")

    def guard(self, step: Step, machine: Machine) -> None:
        for address in step.params.get("devices", ()):
            refuse_stuck(machine, address)
        until(lambda: not _users(step, machine.host()), min(SETTLE, step.deadline))
        _refuse_users(step, machine)

    def apply(self, step: Step, machine: Machine) -> str | None:
        loaded = _loaded(step.params["modules"], machine.paths)
        if not loaded:
            return f"{', '.join(step.params['modules'])}: none is loaded"
        _refuse_users(step, machine)
        deadline = Deadline(step.deadline)
        for module in loaded:
            _unload(step, machine, module, deadline)
        return None

    def probe(self, step: Step, machine: Machine) -> State:
        if any(stuck_write(machine, address) for address in step.params.get("devices", ())):
            return State.STUCK
        wanted = step.baseline["modules"]
        loaded = _loaded(wanted, machine.paths)
        at_home = all(driver_of(machine.paths, a) == d for a, d in step.baseline["drivers"].items())
        if loaded == tuple(wanted) and at_home:
            return State.BEFORE
        return State.BETWEEN if loaded else State.AFTER

    def undo(self, step: Step, machine: Machine) -> str | None:
        for address in step.baseline["drivers"]:
            refuse_stuck(machine, address)
        if self.probe(step, machine) is State.BEFORE:
            return "the modules are loaded and the devices on their drivers"
        deadline = Deadline(step.deadline)
        for address, driver in step.baseline["drivers"].items():
            _aim_home(machine, address, driver, deadline)
        for module in reversed(step.baseline["modules"]):
            if not module_loaded(machine.paths, module):
                load_module(machine, module, devices=step.baseline["drivers"], deadline=deadline.left)
        for address, driver in step.baseline["drivers"].items():
            _rebind(machine, address, driver, deadline)
        return None

    def render_undo(self, step: Step, paths: Paths) -> tuple[str, ...]:  # noqa: ARG002
        drivers = [(address, driver) for address, driver in step.baseline["drivers"].items() if driver]
        limit = seconds(step)
        return (
            *(call("aim_home", address, driver, limit) for address, driver in drivers),
            *(call("module_back", module.replace("-", "_"), limit) for module in reversed(step.baseline["modules"])),
            *(call("rebind", address, driver, limit) for address, driver in drivers),
        )


def _loaded(modules: Iterable[str], paths: Paths) -> tuple[str, ...]:
    return tuple(module for module in modules if module_loaded(paths, module))


def _users(step: Step, host: Host) -> tuple[Module, ...]:
    """The modules of the stack that something outside the stack uses: user space, the kernel or another module."""
    stack = {name.replace("-", "_") for name in step.params["modules"]}
    found = (host.module(name) for name in step.params["modules"])
    return tuple(m for m in found if m and (m.outside_users or not set(m.holders) <= stack))


def _refuse_users(step: Step, machine: Machine) -> None:
    host = machine.host()
    if not (users := _users(step, host)):
        return
    stack = set(step.params["modules"])
    counts = ", ".join(f"{m.name} ({m.outside_users} outside, {_strangers(m, stack)})" for m in users)
    holders = name_holders(host.holders(tuple(step.params.get("devices", ()))))
    raise StepFailed(
        "module.in_use",
        f"Nothing was unloaded, since these modules are in use: {counts}. Held by {holders}.",
        hints=("See who holds the card with: vfioctl gpu holders",),
    )


def _strangers(module: Module, stack: set[str]) -> str:
    return f"modules {', '.join(sorted(set(module.holders) - stack)) or 'none'}"


def _unload(step: Step, machine: Machine, module: str, deadline: Deadline) -> None:
    """One module. `modprobe -r` also takes what only this one needed, so a later one of the stack may be gone."""
    if not module_loaded(machine.paths, module):
        return
    program = step.params.get("program", "modprobe")
    argv = (program, module) if os.path.basename(program) == "rmmod" else (program, "-r", module)
    done = run_blocking(machine, argv, devices=step.params.get("devices", ()), deadline=deadline.left)
    if not done.ok:
        raise StepFailed("module.in_use", f"The module {module} could not be unloaded: {done.why()}.")
    if not until(lambda: not module_loaded(machine.paths, module), deadline.left):
        count = text(machine.paths.at("sys/module", module, "refcnt"))
        raise DeadlineExceeded("module.stays", f"The module {module} is still loaded (reference count {count}).")


def _aim_home(machine: Machine, address: str, driver: str | None, deadline: Deadline) -> None:
    """A driver_override that still names another driver would keep the returning one away."""
    if not driver or driver_of(machine.paths, address) or not os.path.exists(machine.paths.pci(address)):
        return
    if read_override(machine, address) not in (None, driver):
        set_override(machine, address, driver, deadline=deadline.left)


def _rebind(machine: Machine, address: str, driver: str | None, deadline: Deadline) -> None:
    current = driver_of(machine.paths, address)
    if driver is None or current == driver:
        return
    if current:
        raise StepFailed("driver.not_home", f"{address} is on {current}, not on {driver}.")
    probe_drivers(machine, address, deadline=deadline.left)
    if not until(lambda: driver_of(machine.paths, address) == driver, deadline.left):
        raise DeadlineExceeded("driver.not_bound", f"{address} did not get its driver {driver} back.")


KIND = ModuleUnload()
