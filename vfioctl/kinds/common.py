"""What several step kinds share: looking at the machine, bounded writes and programs. Decides nothing."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterable, Sequence

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed, StepRefused, Stuck, VfioctlError
from vfioctl.files import renew_lock
from vfioctl.findings import Finding
from vfioctl.host import overrides
from vfioctl.host.readers import ADDRESS as PCI_ADDRESS
from vfioctl.host.readers import link_name
from vfioctl.host.stuck import record_stuck
from vfioctl.kernel_io import StuckRead
from vfioctl.kinds import PCI
from vfioctl.kinds.stuck import refuse_stuck, swap_or_record, write_or_record
from vfioctl.proc import Completed, in_child
from vfioctl.txn.shape import Form
from vfioctl.txn.step import Lifetime, Scope, Undo

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.host.model import Holder, PciDevice
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.shape import Shape
    from vfioctl.txn.step import Json, Step, StepProposal

LEAST_WRITE = 1.0  # a write gets this much even at the end of a deadline: less would call a healthy device stuck
OUTLIVES_US = 24 * 3600.0  # a program in a detached child is never killed: its parent judges it
NOT_STARTED = ("program.missing", "program.unusable")
FAILED = "command.failed"  # a program that somebody named
NO_OVERRIDE = ("", "(null)")  # what the kernel shows when driver_override is not set
ADDRESS = Form("a PCI address", lambda value: isinstance(value, str) and PCI_ADDRESS.fullmatch(value) is not None)


class Primitive:
    """The parts of a Kind that most kinds do not need."""

    name: str
    undo_class: Undo
    lifetime: Lifetime
    takes: Shape
    keeps: Shape
    about = ""
    marks = blind = one_way = passive = exclusive = spontaneous = opaque = restarts = False
    in_hooks = True

    def unfit(self, params: Json) -> str:
        return self.takes.problem(params)

    def undo_of(self, params: Json) -> Undo:  # noqa: ARG002
        return self.undo_class

    def lifetime_of(self, params: Json) -> Lifetime:  # noqa: ARG002
        return self.lifetime

    def not_in_hooks(self, params: Json) -> str:  # noqa: ARG002
        return "" if self.in_hooks else self.name

    def touches(self, params: Json) -> tuple[str, ...]:  # noqa: ARG002
        return ()

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:  # noqa: ARG002
        return ()

    def needs(self, params: Json) -> tuple[str, str]:  # noqa: ARG002
        return "", ""

    def put_back(self, params: Json) -> str:  # noqa: ARG002
        return ""

    def makes(self, params: Json) -> tuple[str, ...]:  # noqa: ARG002
        return ()

    def reloads(self, params: Json) -> tuple[str, ...]:  # noqa: ARG002
        return ()

    def await_apply(self, step: Step, machine: Machine) -> None:
        """Most kinds wait for nothing before."""

    def await_undo(self, step: Step, machine: Machine) -> None:
        """Most kinds wait for nothing before."""

    def guard(self, step: Step, machine: Machine) -> None:
        """Look once more immediately before apply."""

    def foreign(self, step: Step, machine: Machine) -> str:  # noqa: ARG002
        return f"{step.resource} is not as {step.id} left it."

    def render_undo(self, step: Step, paths: Paths) -> tuple[str, ...]:  # noqa: ARG002
        return ()


class DeviceChange(Primitive):
    """What changes of one PCI function share: {address, …}, and the driver that it was on."""

    exclusive = True
    scope = Scope.LEASE
    lifetime = Lifetime.BOOT

    def resource(self, params: Json) -> str:
        return f"{PCI}{params['address']}"

    def baseline(self, params: Json, host: Host) -> Json:
        return {"driver": host.device(params["address"]).driver}

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:
        address = proposal.params["address"]
        if not host.has_device(address):
            return (Finding("device.missing", f"There is no PCI device {address}.", hint="See: vfioctl gpu list"),)
        return self.check_device(proposal, host.device(address))

    def check_device(self, proposal: StepProposal, device: PciDevice) -> Iterable[Finding]:  # noqa: ARG002
        """What speaks against it where the device is there."""
        return ()


def seconds(step: Step) -> str:
    """The step's deadline in whole seconds, for the shell."""
    return str(max(1, math.ceil(step.deadline)))


def driver_of(paths: Paths, address: str) -> str | None:
    """The driver that the link shows. None is no proof that the device is free: the link goes before the wait."""
    return link_name(paths.pci(address, "driver"))


def driver_present(paths: Paths, driver: str) -> bool:
    return os.path.isdir(os.path.join(paths.pci_drivers, driver))


def module_loaded(paths: Paths, module: str) -> bool:
    """Whether it is loaded as a module; a built-in one has no reference count and can never go."""
    return os.path.exists(paths.at("sys/module", module.replace("-", "_"), "refcnt"))


def read_override(machine: Machine, address: str) -> str | None:
    """The driver_override of `address`, None when it is not set; read in a child, since the device lock may be held.

    Raises Stuck when the read does not return.
    """
    refuse_stuck(machine, address)
    path = machine.paths.pci(address, "driver_override")
    try:
        return overrides.read_override(machine.programs.writer, machine.paths, address)
    except StuckRead as stuck:
        record_stuck(machine.paths, address, stuck.pid, path, "")
        raise Stuck(
            "device.stuck",
            f"{address} is stuck: its driver_override cannot be read, process {stuck.pid} waits in the kernel.",
            state="Nothing is written to it.",
            hints=("See what to do with: vfioctl status",),
        ) from None


def write_device(machine: Machine, address: str, path: str, value: str, *, deadline: float, doing: str) -> None:
    """Write under the device lock of `address` in a child; `doing` says for an error what was tried.

    Raises StepFailed("device.write_failed") with the kernel's reason, Stuck when the write does not return.
    """
    try:
        write_or_record(machine, address, path, value, deadline=max(deadline, LEAST_WRITE))
    except OSError as error:
        raise StepFailed("device.write_failed", f"{doing} failed: {error.strerror} ({path}).") from error


def set_override(machine: Machine, address: str, value: str | None, *, deadline: float) -> None:
    """Aim driver_override of `address` at the driver `value`; None clears it (a lone newline does, sysfs-bus-pci)."""
    path = machine.paths.pci(address, "driver_override")
    doing = f"Setting driver_override of {address} to {value or 'nothing'}"
    write_device(machine, address, path, f"{value or ''}\n", deadline=deadline, doing=doing)


def aim_override(machine: Machine, address: str, value: str | None, *, deadline: float) -> str | None:
    """Aim driver_override of `address` at `value`, and see that it took; return why there was nothing to do."""
    path = machine.paths.pci(address, "driver_override")
    written, unless = f"{value or ''}\n", (value,) if value else NO_OVERRIDE
    try:
        before, after = swap_or_record(
            machine, address, path, written, deadline=max(deadline, LEAST_WRITE), unless=unless
        )
    except OSError as error:
        raise StepFailed(
            "device.write_failed",
            f"Setting driver_override of {address} to {value or 'nothing'} failed: {error.strerror}.",
        ) from error
    if _plain(after) != value:
        raise StepFailed("driver.override_refused", f"driver_override of {address} is {after}, not {value}.")
    return f"driver_override of {address} already says {value or 'nothing'}" if _plain(before) == value else None


def _plain(value: str) -> str | None:
    return None if value in NO_OVERRIDE else value


def unbind(machine: Machine, address: str, driver: str, *, deadline: float) -> None:
    """Take `address` from `driver`. Only the child's return proves it: the link goes before the kernel waits."""
    path = os.path.join(machine.paths.pci_drivers, driver, "unbind")
    doing = f"Unbinding {address} from {driver}"
    write_device(machine, address, path, address, deadline=deadline, doing=doing)


def probe_drivers(machine: Machine, address: str, *, deadline: float) -> None:
    """Ask the kernel to find a driver for `address`. Success proves nothing: look at the link."""
    path = machine.paths.at("sys/bus/pci/drivers_probe")
    write_device(machine, address, path, address, deadline=deadline, doing=f"Probing drivers for {address}")


def is_ours(host: Host, driver: str, given: str = "vfio-pci") -> bool:
    """Whether `driver` is one that a hand-off binds to: the planned one, vfio-pci or a variant driver."""
    return driver == given or host.is_vfio_driver(driver)


def run(machine: Machine, argv: Sequence[str], *, deadline: float, code: str) -> Completed:
    """Run a program of the machine to its end. Raises StepFailed(`code`) when it fails."""
    completed = machine.programs.run(argv, deadline=deadline)
    if not completed.ok:
        raise StepFailed(code, f"{completed.why()}.")
    return completed


def begin(machine: Machine, argv: Sequence[str], *, deadline: float, code: str) -> None:
    """The same for a program that nothing came before: one that cannot be started has changed nothing (StepRefused)."""
    try:
        run(machine, argv, deadline=deadline, code=code)
    except StepFailed as error:
        if error.code in NOT_STARTED:
            raise StepRefused(error.code, error.message) from error
        raise


def run_blocking(machine: Machine, argv: Sequence[str], *, devices: Iterable[str], deadline: float) -> Completed:
    """Run a program that may wait in the kernel for ever (module unload): never killed, recorded as stuck instead."""

    def work() -> bytes:
        try:
            done = machine.programs.run(argv, deadline=OUTLIVES_US)
        except VfioctlError as error:
            return json.dumps({"code": error.code, "message": error.message}).encode()
        return json.dumps({"status": done.returncode, "out": done.stdout, "err": done.stderr}).encode()

    started = time.monotonic()
    report = in_child(work, deadline=max(deadline, LEAST_WRITE), keep_fds=machine.programs.keep_fds)
    if report.stuck:
        return _stuck_program(machine, argv, devices, report.pid, deadline)
    said = json.loads(report.data)
    if "code" in said:
        raise StepFailed(said["code"], said["message"])
    return Completed(tuple(argv), said["status"], said["out"], said["err"], time.monotonic() - started)


def _stuck_program(
    machine: Machine, argv: Sequence[str], devices: Iterable[str], pid: int, deadline: float
) -> Completed:
    command = " ".join(argv)
    for address in devices:
        record_stuck(machine.paths, address, pid, command, "")
    for fd in machine.programs.keep_fds:
        renew_lock(fd)
    raise Stuck(
        "kernel.stuck",
        f"{command} does not return ({deadline:g} s); process {pid} waits for it.",
        state="Nothing more is written to the devices on it.",
        hints=("End what uses the device, then see: vfioctl status",),
    )


def load_module(machine: Machine, module: str, *options: str, devices: Iterable[str] = (), deadline: float) -> None:
    """modprobe `module`. A probe routine may block, so it runs as a blocking program. Raises StepFailed."""
    done = run_blocking(machine, ("modprobe", module, *options), devices=devices, deadline=deadline)
    if not done.ok:
        raise StepFailed("module.load_failed", f"The module {module} could not be loaded: {done.why()}.")


def name_holders(holders: Iterable[Holder]) -> str:
    """The holders in words: "Xorg (pid 812, lightdm.service), ollama (pid 999)"."""
    return ", ".join(f"{h.comm} (pid {h.pid}{_where(h)})" for h in holders) or "nobody that /proc shows"


def _where(holder: Holder) -> str:
    place = holder.unit or holder.user_unit or holder.container or (holder.session and f"session {holder.session}")
    return f", {place}" if place else ""
