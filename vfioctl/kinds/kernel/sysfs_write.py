"""sysfs.write: writes one kernel attribute and puts its old value back. Knows no attribute's meaning."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed
from vfioctl.findings import Finding
from vfioctl.host.readers import ADDRESS, text
from vfioctl.kinds.common import Primitive, driver_of, seconds, write_device
from vfioctl.kinds.stuck import refuse_stuck, stuck_write
from vfioctl.shell import call
from vfioctl.txn.shape import FLAG, NAME, TEXT, Form, Shape, is_absolute, is_text, maybe, optional
from vfioctl.txn.step import Lifetime, Scope, State, Undo

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step, StepProposal

PLACES = ("/sys/", "/proc/sys/")
UNREADABLE = ("driver_override", "uevent")  # reading them waits for the device lock: they have a kind of their own
ATTRIBUTE = Form(
    "a file below /sys or /proc/sys that a step may write", lambda path: is_absolute(path) and may_write(path)
)
VALUE = Form("a text or a number", lambda value: is_text(value) or isinstance(value, int))
CHOICE = r"\[([^\]]*)\]"


class SysfsWrite(Primitive):
    """{path, value, trigger?, may_stay?, home?}; a trigger is not read back, since it shows nothing of what was
    written; with may_stay the new value stays, and that is told, when the kernel takes the old one no more; home: the
    function's own driver or null, the old value is not put back while vfio-pci has the function instead"""

    name = "sysfs.write"
    summary = "Writes a value to a file below /sys or /proc/sys; the undo writes the old value back."
    undo_class = Undo.EXACT
    scope = Scope.LEASE
    lifetime = Lifetime.BOOT
    takes = Shape(
        path=ATTRIBUTE, value=VALUE, trigger=optional(FLAG), may_stay=optional(FLAG), home=optional(maybe(NAME))
    )
    keeps = Shape(value=maybe(TEXT))

    def resource(self, params: Json) -> str:
        return f"sysfs:{params['path']}"

    def touches(self, params: Json) -> tuple[str, ...]:
        address = device_of(params["path"])
        return (f"pci:{address}",) if address else ()

    def makes(self, params: Json) -> tuple[str, ...]:
        return (params["path"],)

    def baseline(self, params: Json, host: Host) -> Json:
        return {"value": None if params.get("trigger") else read_value(host.paths, params["path"])}

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:  # noqa: ARG002
        path = proposal.params["path"]
        if not may_write(path):
            yield Finding("sysfs.path", f"{path} is not a file that a step may write.")

    def apply(self, step: Step, machine: Machine) -> str | None:
        path, value = step.params["path"], str(step.params["value"])
        _refuse_stuck(machine, path)
        if step.params.get("trigger"):
            _write(machine, path, value, step.deadline)
            return None
        if read_value(machine.paths, path) == value:
            return f"{path} already says {value!r}"
        _put(machine, path, value, step.deadline)
        return None

    def probe(self, step: Step, machine: Machine) -> State:
        path = step.params["path"]
        if stuck_write(machine, _owner(path)):
            return State.STUCK
        now = read_value(machine.paths, path)
        if now is None:
            return State.BETWEEN
        if now == step.baseline["value"]:
            return State.BEFORE
        return State.AFTER if now == str(step.params["value"]) else State.BETWEEN

    def undo(self, step: Step, machine: Machine) -> str | None:
        path, old = step.params["path"], step.baseline["value"]
        if old is None:
            return f"{path} had no value to put back"
        _refuse_stuck(machine, path)
        now = read_value(machine.paths, path)
        if now is None:
            return f"{path} is gone"
        if now == old:
            return f"{path} already says {old!r}"
        _refuse_away(step, machine)
        try:
            _put(machine, path, old, step.deadline)
        except StepFailed as failure:
            if not (step.params.get("may_stay") and _is_refused(failure)):
                raise
            return f"{path} stays {now!r}: the kernel takes {old!r} no more"
        return None

    def render_undo(self, step: Step, paths: Paths) -> tuple[str, ...]:  # noqa: ARG002
        path, old = step.params["path"], step.baseline["value"]
        if old is None:
            return ()
        refused = ("say",) if step.params.get("may_stay") else ()
        words = (device_of(path) or "", path, old, seconds(step), *refused)
        if "home" in step.params:
            return (call("attribute_home", step.params["home"] or "", *words),)
        return (call("attribute_back", *words),)


def may_write(path: str) -> bool:
    """Whether a step may write the file: one of the kernel's, and none whose read waits for the device lock."""
    return path.startswith(PLACES) and ".." not in path.split("/") and os.path.basename(path) not in UNREADABLE


def device_of(path: str) -> str | None:
    """The PCI function that the attribute belongs to: the last address in its path."""
    found = [part for part in path.split("/") if ADDRESS.fullmatch(part)]
    return found[-1] if found else None


def _owner(path: str) -> str:
    """What a write to `path` may wedge: the PCI function, else the file itself."""
    return device_of(path) or path.strip("/").replace("/", ":")


def read_value(paths: Paths, path: str) -> str | None:
    """The value as it is written: of "[always] madvise never" it is "always"."""
    shown = text(paths.at(path))
    chosen = re.search(CHOICE, shown) if shown and "[" in shown else None
    return chosen.group(1) if chosen else shown


def _refuse_stuck(machine: Machine, path: str) -> None:
    refuse_stuck(machine, _owner(path))


def _refuse_away(step: Step, machine: Machine) -> None:
    """Raise StepFailed where the old value has to wait for the function: vfio-pci lets sleep what nobody has open."""
    address = device_of(step.params["path"])
    if address is None or "home" not in step.params:
        return
    driver = driver_of(machine.paths, address)
    if driver and driver != step.params["home"] and machine.host().is_vfio_driver(driver):
        raise StepFailed("driver.not_home", f"{address} is still on {driver}: the value stays until it is home.")


def _is_refused(failure: StepFailed) -> bool:
    return isinstance(failure.__cause__, OSError) and failure.__cause__.errno == errno.EINVAL


def _put(machine: Machine, path: str, value: str, deadline: float) -> None:
    _write(machine, path, value, deadline)
    now = read_value(machine.paths, path)
    if now != value:
        raise StepFailed("sysfs.unchanged", f"The kernel took {value!r} for {path}, but it says {now!r}.")


def _write(machine: Machine, path: str, value: str, deadline: float) -> None:
    target, doing = machine.paths.at(path), f"Writing {value!r}"
    write_device(machine, _owner(path), target, value, deadline=deadline, doing=doing)


KIND = SysfsWrite()
