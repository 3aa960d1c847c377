"""driver.bind: moves one PCI function from its driver to another (vfio-pci). Needs driver_override aimed before it.

Its undo loads the modules that the function's own driver needs: another guest may have unloaded them meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import DeadlineExceeded, StepFailed
from vfioctl.findings import Finding
from vfioctl.kinds.common import (
    ADDRESS,
    DeviceChange,
    driver_of,
    driver_present,
    is_ours,
    load_module,
    name_holders,
    probe_drivers,
    read_override,
    seconds,
    set_override,
    unbind,
    write_device,
)
from vfioctl.kinds.kernel.own_modules import load_missing, missing, own_modules
from vfioctl.kinds.pci import HANGING, is_unbound_alone
from vfioctl.kinds.pci.unseen import unseen_findings
from vfioctl.kinds.stuck import refuse_stuck, stuck_write
from vfioctl.shell import call
from vfioctl.txn.clock import Deadline
from vfioctl.txn.shape import FLAG, NAME, Shape, many, maybe, optional
from vfioctl.txn.step import State, Undo
from vfioctl.wait import until

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.host.model import Holder, PciDevice
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step, StepProposal

SOUND = "/dev/snd/"


class DriverBind(DeviceChange):
    """{address, driver, module?, unloaded?, awake?, shared_module?, unbind_alone?}; unloaded: a module.unload of the
    same plan takes its driver away and brings it back; awake: vfio-pci, which lets it sleep as it binds, is told not
    to; shared_module is locked: other guests may unload it; unbind_alone: leave for a driver whose unbind can hang"""

    name = "driver.bind"
    summary = "Unbinds a PCI function from its driver and binds it to another; done when the driver link shows it."
    undo_class = Undo.EXACT
    spontaneous = True  # a driver takes every aimed device that has none when its module is loaded
    takes = Shape(
        address=ADDRESS, driver=NAME, module=optional(NAME), unloaded=optional(FLAG), awake=optional(FLAG),
        shared_module=optional(maybe(NAME)), unbind_alone=optional(FLAG), allow_nvidia_unbind=optional(FLAG),
    )  # fmt: skip
    keeps = Shape(driver=maybe(NAME), modules=optional(many(NAME)))

    def touches(self, params: Json) -> tuple[str, ...]:
        return (f"module:{params['shared_module']}",) if params.get("shared_module") else ()

    def baseline(self, params: Json, host: Host) -> Json:
        driver = host.device(params["address"]).driver
        return {"driver": driver, "modules": [] if params.get("unloaded") else own_modules(driver, host)}

    def check_device(self, proposal: StepProposal, device: PciDevice) -> Iterable[Finding]:  # noqa: ARG002
        address = device.address
        if device.stuck:
            return (Finding("device.stuck", f"{address} is stuck in the kernel.", hint="See: vfioctl status"),)
        if device.is_bridge:
            return (Finding("device.bridge", f"{address} is a bridge; a bridge cannot be given to a guest."),)
        return ()

    def await_undo(self, step: Step, machine: Machine) -> None:
        """Nobody else need wait for a QEMU that has not let go yet: a module that is shared is not locked meanwhile."""
        address, at_home = step.params["address"], (None, step.baseline["driver"])
        if step.touches and driver_of(machine.paths, address) not in at_home and not stuck_write(machine, address):
            until(lambda: not machine.host().vfio_open((address,)), step.deadline)

    def guard(self, step: Step, machine: Machine) -> None:
        """Refuse what would wedge the kernel, whatever plugins say: a device that is held, or a driver that hangs."""
        address = step.params["address"]
        refuse_stuck(machine, address)
        _must_exist(machine.paths, address)
        driver = driver_of(machine.paths, address)
        if driver is None or driver == step.params["driver"]:
            return
        if driver in HANGING and not is_unbound_alone(step.params):
            raise StepFailed(
                "driver.nvidia_unbind",
                f"{address} is on {driver}, which never returns from an unbind while it is used; it is not unbound.",
                hints=("Its modules are unloaded instead; see docs/explanation/safety.md",),
            )
        host = machine.host()
        _refuse_dependents(host, address)
        _refuse_disks(host, address)
        shared = (address,) if driver in HANGING else ()  # who has a node of the driver may hold any of its devices
        if blocking := _blocking(host.holders((address,), shared=shared), driver):
            raise StepFailed("device.held", f"{address} ({driver}) is held by {name_holders(blocking)}.")
        for finding in unseen_findings(host.unseen((address,), shared=shared), (address,)):
            raise StepFailed(finding.code, finding.message, hints=(finding.hint,))

    def apply(self, step: Step, machine: Machine) -> str | None:
        address, wanted = step.params["address"], step.params["driver"]
        refuse_stuck(machine, address)
        current, deadline = driver_of(machine.paths, address), Deadline(step.deadline)
        if current == wanted:
            _stay_awake(step, machine, deadline)
            return f"{address} is already on {wanted}"
        _must_be_aimed(machine, address, wanted)
        if not driver_present(machine.paths, wanted):
            module = step.params.get("module", wanted)
            load_module(machine, module, devices=(address,), deadline=deadline.left)
        if current and driver_of(machine.paths, address) == current:
            unbind(machine, address, current, deadline=deadline.left)
        _bind(machine, address, wanted, deadline)
        _stay_awake(step, machine, deadline)
        return None

    def probe(self, step: Step, machine: Machine) -> State:
        address = step.params["address"]
        if stuck_write(machine, address):
            return State.STUCK
        driver = driver_of(machine.paths, address)
        if not os.path.exists(machine.paths.pci(address)):
            return State.BETWEEN
        if driver == step.baseline["driver"]:
            return State.BETWEEN if missing(_modules(step), machine.paths) else State.BEFORE
        return State.AFTER if driver == step.params["driver"] else State.BETWEEN

    def undo(self, step: Step, machine: Machine) -> str | None:
        address, home = step.params["address"], step.baseline["driver"]
        refuse_stuck(machine, address)
        _must_exist(machine.paths, address)
        current, deadline = driver_of(machine.paths, address), Deadline(step.deadline)
        if current == home:
            load_missing(machine, _modules(step), address, deadline)
            return f"{address} is already {f'on {home}' if home else 'without a driver'}"
        if current and not is_ours(machine.host(), current, step.params["driver"]):
            return f"{address} is on {current}, where someone else put it: left alone"
        _detach(machine, address, current, home, deadline)
        return _bring_home(step, machine, deadline) if home else None

    def render_undo(self, step: Step, paths: Paths) -> tuple[str, ...]:  # noqa: ARG002
        params, home = step.params, step.baseline["driver"]
        modules = (module.replace("-", "_") for module in _modules(step))
        return (call("return_device", params["address"], home or "", params["driver"], seconds(step), *modules),)


def _modules(step: Step) -> tuple[str, ...]:
    """What the own driver needs; a journal of an older version does not say."""
    return tuple(step.baseline.get("modules", ()))


def _blocking(holders: Iterable[Holder], driver: str) -> tuple[Holder, ...]:
    """Those who must let go first. logind keeps DRM nodes for others and may stay; on sound nobody may."""
    strict = driver in HANGING
    return tuple(
        holder for holder in holders
        if strict or not holder.is_untouchable or any(node.startswith(SOUND) for node in holder.nodes)
    )  # fmt: skip


def _refuse_dependents(host: Host, address: str) -> None:
    """Raise StepFailed while somebody uses what vanishes with the driver: its remove() would wait for them."""
    for item in host.dependents(address):
        if item.users:
            raise StepFailed(
                f"device.{item.kind}_in_use", f"{address} has {item.name}, which {', '.join(item.users)} uses.",
                hints=(f"Stop {', '.join(item.users)} first.",),
            )  # fmt: skip


def _refuse_disks(host: Host, address: str) -> None:
    """Raise StepFailed while a disk behind it is in use: one may have been mounted since the plan was made."""
    if held := [claim for claim in host.disk_claims(address) if claim.is_certain]:
        uses = "; ".join(f"{claim.device} is {claim.what}" for claim in held)
        hints = tuple(dict.fromkeys(claim.help for claim in held))
        raise StepFailed("device.disk_in_use", f"{address} is the controller of a disk in use: {uses}.", hints=hints)


def _must_exist(paths: Paths, address: str) -> None:
    if not os.path.exists(paths.pci(address)):
        raise StepFailed(
            "device.gone", f"{address} is gone from the bus.", hints=("Look for it with: vfioctl gpu list",)
        )


def _must_be_aimed(machine: Machine, address: str, wanted: str) -> None:
    aimed = read_override(machine, address)
    if aimed != wanted:
        raise StepFailed(
            "driver.not_aimed",
            f"driver_override of {address} says {aimed or 'nothing'}, not {wanted}: it would get another driver.",
        )


def _bind(machine: Machine, address: str, wanted: str, deadline: Deadline) -> None:
    """Probe, and wait for the link. A probe may come too early for a driver that is just loading: ask again."""
    probe_drivers(machine, address, deadline=deadline.left)
    if not until(lambda: driver_of(machine.paths, address) == wanted, deadline.left):
        current = driver_of(machine.paths, address)
        raise DeadlineExceeded(
            "driver.not_bound",
            f"{address} did not get the driver {wanted}; it is {f'on {current}' if current else 'without a driver'}.",
        )


def _stay_awake(step: Step, machine: Machine, deadline: Deadline) -> None:
    """vfio-pci allows runtime suspend as it binds, whatever was set (vfio_pci_core_register_device: pm_runtime_allow).

    Nothing of it is left to undo: it forbids that again as it lets go, and sysfs.write puts back what was before.
    """
    if step.params.get("awake"):
        address = step.params["address"]
        path, doing = machine.paths.pci(address, "power", "control"), f"Keeping {address} awake"
        write_device(machine, address, path, "on", deadline=deadline.left, doing=doing)


def _detach(machine: Machine, address: str, current: str | None, home: str | None, deadline: Deadline) -> None:
    """Take the function from `current`, aimed at `home`, so that nothing else takes it meanwhile."""
    if current:
        _wait_until_closed(machine, address, deadline)
    if home:
        set_override(machine, address, home, deadline=deadline.left)
    if current:
        unbind(machine, address, current, deadline=deadline.left)


def _bring_home(step: Step, machine: Machine, deadline: Deadline) -> str | None:
    address, home = step.params["address"], step.baseline["driver"]
    load_missing(machine, _modules(step), address, deadline)
    if driver_present(machine.paths, home):
        _bind(machine, address, home, deadline)
        return None
    if step.params.get("unloaded") or "modules" not in step.baseline:
        return f"{address} is detached; {home} is not loaded"
    raise StepFailed("driver.missing", f"{address} is without a driver: the kernel has no driver {home} any more.")


def _wait_until_closed(machine: Machine, address: str, deadline: Deadline) -> None:
    """vfio-pci blocks in an unbind until user space has closed the device, so nothing is written before that."""
    if not until(lambda: not machine.host().vfio_open((address,)), deadline.left):
        pids = ", ".join(map(str, machine.host().vfio_open((address,))))
        raise DeadlineExceeded("device.in_use", f"{address} is still open in process {pids or 'unknown'}.")


KIND = DriverBind()
