"""Writes to kernel files of a device, and what stands in their way: an earlier one that has not returned."""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import Stuck
from vfioctl.host.stuck import StuckDevice, read_stuck, record_stuck
from vfioctl.kernel_io import StuckWrite

if TYPE_CHECKING:
    from vfioctl.txn.machine import Machine


def stuck_write(machine: Machine, address: str) -> StuckDevice | None:
    """The stuck write on `address`, while its process still waits in the kernel."""
    return read_stuck(machine.paths, address)


def refuse_stuck(machine: Machine, address: str) -> None:
    """Raise Stuck when a kernel write on `address` has not returned."""
    if stuck := stuck_write(machine, address):
        raise Stuck(
            "device.stuck",
            f"{address} is stuck: process {stuck.pid} waits in the kernel writing {stuck.value!r} to {stuck.path}.",
            state="Nothing is written to it.",
            hints=("See what to do with: vfioctl status",),
        )


def write_or_record(machine: Machine, address: str, path: str, value: str, *, deadline: float) -> None:
    """Write to a kernel file under the device lock of `address`, in a child; record the device when it is stuck."""
    swap_or_record(machine, address, path, value, deadline=deadline)


def swap_or_record(
    machine: Machine, address: str, path: str, value: str, *, deadline: float, unless: tuple[str, ...] = ()
) -> tuple[str, str]:
    """Write as `write_or_record` does unless the file says one of `unless`; return what it said before and after."""
    refuse_stuck(machine, address)
    try:
        return machine.programs.writer.swap(path, value, deadline=deadline, unless=unless)
    except StuckWrite as stuck:
        record_stuck(machine.paths, address, stuck.pid, stuck.path, stuck.value)
        raise
