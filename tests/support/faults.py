"""What can go wrong in one step, for each kind of step: injected while the engine stands before that step.

A fault knows how to bring itself about, how it is removed again, and how it shows.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from authorship import leave_foreign
from hand_offs import GPU, SCENARIOS, Scenario, Stage
from walks import Stride, walk

from vfioctl.kinds.kernel.vtconsole_unbind import plain
from vfioctl.testing import programs
from vfioctl.testing.model import FakeProcess
from vfioctl.txn.plan import Action
from vfioctl.txn.step import Step

BROKEN = "#!/bin/sh\necho 'injected failure' >&2\nexit 1\n"
HANGING = "#!/bin/sh\nexec sleep 1000000\n"
LETS_SLEEP = ("amdgpu-", "laptop")  # the scenarios whose card has power/control "auto" at home
Inject = Callable[[Stage, Step], object]


@dataclass(frozen=True, slots=True)
class Fault:
    """`is_stuck`: a write in the kernel that does not return. `is_slow`: it takes until a deadline to be noticed."""

    name: str
    inject: Inject
    is_stuck: bool = False
    is_slow: bool = False
    lasts: bool = False  # it also meets the undo of other steps
    foreign: bool = False  # it is something of somebody else's, which stays

    def __str__(self) -> str:
        return self.name


def write_fails(name: str, number: int, path: Callable[[Stage, Step], str], *, undo: bool = False) -> Fault:
    return Fault(name, lambda on, step: on.host.kernel.fail_write(path(on, step), number, value=_value(step, undo)))


def write_hangs(path: Callable[[Stage, Step], str], *, undo: bool = False) -> Fault:
    def inject(on: Stage, step: Step) -> None:
        on.host.kernel.hang_write(path(on, step), value=_value(step, undo))

    return Fault("stuck", inject, is_stuck=True, is_slow=True)


def _value(step: Step, undo: bool) -> str | None:  # noqa: FBT001 -- only called here, by name of the parameter
    """Files of a driver serve every device: only writes that name this one. Others are the device's own."""
    return step.params["address"] if step.kind == "driver.bind" else None


def program_fails(name: str, pattern: Callable[[Step], str]) -> tuple[Fault, ...]:
    """The program says no, does not end, is not there."""
    return (
        Fault("fails", lambda on, step: on.host.kernel.fail_program(name, 1, arguments=pattern(step))),
        Fault("hangs", lambda on, step: on.host.kernel.hang_program(name, arguments=pattern(step)), is_slow=True),
        Fault("missing", lambda on, _step: on.host.kernel.remove_program(name), lasts=True),
    )


def real_program(name: str) -> tuple[Fault, ...]:
    """The same for a program that the machine does not simulate; a missing one also meets its own undo."""
    return (
        Fault("fails", lambda on, _step: replace_program(on, name, BROKEN), lasts=True),
        Fault("hangs", lambda on, _step: replace_program(on, name, HANGING), is_slow=True, lasts=True),
        Fault("missing", lambda on, _step: on.host.kernel.remove_program(name), lasts=True),
    )


def replace_program(on: Stage, name: str, text: str) -> None:
    path = on.host.paths.at("usr/bin", name)
    os.unlink(path)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, 0o755)


# Where a step writes


def override(on: Stage, step: Step) -> str:
    return f"/sys/bus/pci/devices/{step.params['address']}/driver_override"


def unbind_or_probe(on: Stage, step: Step) -> str:
    """The first file that a bind, there or back, writes after the override."""
    link = on.host.paths.pci(step.params["address"], "driver")
    if os.path.islink(link):
        return f"/sys/bus/pci/drivers/{os.path.basename(os.readlink(link))}/unbind"
    return "/sys/bus/pci/drivers_probe"


def probe_file(on: Stage, step: Step) -> str:
    return "/sys/bus/pci/drivers_probe"


def attribute(on: Stage, step: Step) -> str:
    return str(step.params["path"])


def console(on: Stage, step: Step) -> str:
    directory = on.host.paths.at("sys/class/vtconsole")
    for name in os.listdir(directory):
        with open(os.path.join(directory, name, "name"), encoding="utf-8") as file:
            if plain(file.read()) == plain(step.params["name"]):
                return f"/sys/class/vtconsole/{name}/bind"
    raise LookupError(step.params["name"])


def reset(on: Stage, step: Step) -> str:
    return f"/sys/bus/pci/devices/{step.params['address']}/reset"


# What is not a write and not a program


def hold_the_card(on: Stage, step: Step) -> None:
    """Somebody opens the card just now, in a service that nobody may stop."""
    node = next(n for n in ("/dev/nvidia0", "/dev/dri/card0") if os.path.exists(on.root + n))
    on.host.kernel.add_process(FakeProcess("intruder", pid=5_000_999, opens=(node,), unit="intruder.service"))


def leak(on: Stage, step: Step) -> None:
    on.host.kernel.leak(step.params["modules"][-1], 1)


def unload_fails(on: Stage, step: Step) -> None:
    on.host.kernel.fail_module(step.params["modules"][-1], "unload", errno.EBUSY)


def load_fails(on: Stage, step: Step) -> None:
    on.host.kernel.fail_module(step.baseline["modules"][-1], "load", errno.EIO)


def no_driver_binds(on: Stage, step: Step) -> None:
    """drivers_probe says success, and nothing is bound."""
    on.host.kernel.fail_probe(step.params["address"], step.params["driver"])


def unit(verb: str) -> Callable[[Step], str]:
    return lambda step: f"*{verb} -- {step.params['unit']}"


def argv(key: str) -> Callable[[Step], str]:
    return lambda step: " ".join(step.params[key][1:])


THERE: dict[str, tuple[Fault, ...]] = {
    "driver.override": (
        write_fails("busy", errno.EBUSY, override), write_fails("gone", errno.ENODEV, override), write_hangs(override),
    ),
    "driver.bind": (
        write_fails("busy", errno.EBUSY, unbind_or_probe), write_fails("gone", errno.ENODEV, unbind_or_probe),
        write_hangs(unbind_or_probe), Fault("unbound", no_driver_binds, is_slow=True),
    ),
    "module.unload": (
        Fault("busy", unload_fails), Fault("leaked", leak),
        Fault("stuck", lambda on, _step: on.host.kernel.hang_program("modprobe", arguments="-r *"), is_stuck=True,
              is_slow=True),
        Fault("missing", lambda on, _step: on.host.kernel.remove_program("modprobe"), lasts=True),
    ),
    "unit.stop": program_fails("systemctl", unit("stop")),
    "unit.start": program_fails("systemctl", unit("start")),
    "unit.hold": program_fails("systemctl", unit("--signal=SIGSTOP")),
    "container.stop": program_fails("docker", lambda step: f"stop *-- {step.params['name']}"),
    "session.end": program_fails("loginctl", lambda step: f"terminate-session -- {step.params['session']}"),
    "command.run": (),  # by its program, see faults_there
    "wait.until": (Fault("deadline", hold_the_card, is_slow=True),),
    "vtconsole.unbind": (
        write_fails("busy", errno.EBUSY, console), write_fails("gone", errno.ENODEV, console), write_hangs(console),
    ),
    "sysfs.write": (
        write_fails("busy", errno.EBUSY, attribute), write_fails("gone", errno.ENODEV, attribute),
        write_hangs(attribute),
    ),
    "inhibit.sleep": program_fails("systemd-run", lambda _step: "*vfioctl-inhibit-*"),
    "device.reset": (
        write_fails("busy", errno.EBUSY, reset), write_fails("gone", errno.ENODEV, reset), write_hangs(reset),
    ),
    "file.copy": (Fault("exists", leave_foreign, foreign=True),),
    "disk.snapshot": real_program("qemu-img"),
}  # fmt: skip
FIRST_BIND = (  # it loads the module of vfio-pci
    Fault("missing", lambda on, _step: on.host.kernel.remove_program("modprobe"), lasts=True),
    Fault("modprobe-fails", lambda on, _step: on.host.kernel.fail_program("modprobe", 1, arguments="vfio-pci")),
    Fault("modprobe-hangs", lambda on, _step: on.host.kernel.hang_program("modprobe", arguments="vfio-pci"),
          is_stuck=True, is_slow=True),
)  # fmt: skip
BACK: dict[str, tuple[Fault, ...]] = {
    "driver.bind": (
        write_fails("busy", errno.EBUSY, unbind_or_probe), write_fails("probe", errno.ENODEV, probe_file),
        write_hangs(unbind_or_probe),
    ),
    "driver.override": (write_fails("busy", errno.EBUSY, override), write_hangs(override)),
    "module.unload": (
        Fault("load", load_fails),
        Fault("missing", lambda on, _step: on.host.kernel.remove_program("modprobe"), lasts=True),
    ),
    "unit.stop": program_fails("systemctl", unit("start")),
    "unit.hold": program_fails("systemctl", unit("--signal=SIGCONT")),
    # Without its tool a container is gone as well: that is no failure.
    "container.stop": program_fails("docker", lambda step: f"start -- {step.params['name']}")[:-1],
    "sysfs.write": (write_fails("busy", errno.EBUSY, attribute), write_hangs(attribute)),
    "inhibit.sleep": program_fails("systemctl", lambda _step: "stop -- vfioctl-inhibit-*"),
    "disk.snapshot_delete": real_program("qemu-img"),
}  # fmt: skip


def is_idle(scenario: Scenario, stride: Stride) -> bool:
    """Whether the step writes nothing, since its device may not sleep at home either."""
    sleeps = GPU in stride.step and scenario.name.startswith(LETS_SLEEP)
    return stride.step.endswith("power/control") and not sleeps


def faults_there(scenario: Scenario, stride: Stride) -> tuple[Fault, ...]:
    """What can go wrong in this step of prepare."""
    if stride.kind == "command.run":
        return program_fails("wall", argv("argv"))
    if is_idle(scenario, stride):
        return ()
    if stride.step == "driver.bind:0000:01:00.3":
        return ()  # it has no driver at home, so vfio-pci takes it when it is loaded for another function
    first = next(one for one in walk(scenario).there if one.kind == "driver.bind")
    return (*THERE[stride.kind], *(FIRST_BIND if stride == first else ()))


def faults_back(scenario: Scenario, stride: Stride) -> tuple[Fault, ...]:
    """What can go wrong in this piece of the way back."""
    if is_idle(scenario, stride):
        return ()
    if stride.kind == "driver.bind" and "0000:01:00.3" in stride.step:
        return tuple(fault for fault in BACK[stride.kind] if fault.name != "probe")  # it has no driver at home
    return BACK.get(stride.kind, ()) if stride.action is Action.UNDO else ()


def each_fault_there() -> Iterator[tuple[Scenario, Stride, Fault]]:
    for scenario in SCENARIOS:
        for stride in walk(scenario).there:
            yield from ((scenario, stride, fault) for fault in faults_there(scenario, stride))


def each_fault_back() -> Iterator[tuple[Scenario, Stride, Fault]]:
    for scenario in SCENARIOS:
        for stride in walk(scenario).back:
            yield from ((scenario, stride, fault) for fault in faults_back(scenario, stride))


def each_fault_of_an_undo() -> Iterator[tuple[Scenario, Stride, Fault]]:
    """One quick fault for each step of prepare whose undo can fail alone, while the last step fails."""
    for scenario in SCENARIOS:
        known = walk(scenario)
        if known.there[-1:] and known.there[-1].kind != "driver.bind":
            continue
        undone = {one.step: one for one in known.back if one.action is Action.UNDO}
        for stride in known.there[:-1]:
            if ":1000:" in stride.step or stride.kind == "driver.override":
                continue  # a unit may go with its user's manager; the undo of the bind meets the override first
            faults = faults_back(scenario, undone[stride.step]) if stride.step in undone else ()
            yield from ((scenario, stride, fault) for fault in faults[:1] if not fault.lasts)


def is_overcome(step: Step, fault: Fault) -> bool:
    """Whether the step may succeed all the same: a display manager that does not end is killed, and asked again."""
    about = step.id.startswith(("display-manager.stop:", "display-manager.start:"))
    return fault.name == "hangs" and about and step.params.get("uid") is None


def repair(on: Stage) -> None:
    """Take every fault away, and let what hung come to its end."""
    for name in programs.SIMULATED:
        if not os.path.exists(on.host.paths.at("usr/bin", name)):
            on.host.kernel.restore_program(name)
    if on.scenario.with_disk:
        path = on.host.paths.at("usr/bin/qemu-img")
        if os.path.lexists(path):
            os.unlink(path)
        os.symlink(shutil.which("qemu-img") or "", path)
    on.host.kernel.end_process(5_000_999)
    on.host.kernel.release()
    for module in on.host.kernel.modules():
        on.host.kernel.leak(module, 0)
    end_hanging_programs(on)


def end_hanging_programs(on: Stage) -> None:
    for call in on.host.kernel.calls():
        try:
            with open(f"/proc/{call['pid']}/cmdline", encoding="utf-8") as file:
                hangs = file.read().startswith("sleep\0")
        except FileNotFoundError:
            continue
        if hangs:
            os.kill(call["pid"], signal.SIGKILL)
