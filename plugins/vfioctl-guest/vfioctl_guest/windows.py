"""What a guest with Windows gets besides: the Hyper-V interfaces that it knows, and a clock in local time. Pure.

Each flag with its reason out of QEMU's docs/system/i386/hyperv.rst; only those are written that the node offers
(domain capabilities, features/hyperv). Their names and needs: https://libvirt.org/formatdomain.html#hypervisor-features.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree as ET

from vfioctl.plugin import TYPE_CHECKING

if TYPE_CHECKING:
    from vfioctl_guest.machine import Board

ON = {"state": "on"}
FLAGS: Mapping[str, Mapping[str, str]] = {
    "relaxed": ON,  # no blue screen when a busy host runs a CPU late
    "vapic": ON,  # interrupts without an exit to the host
    "spinlocks": {**ON, "retries": "8191"},  # it tells the host that it waits for a lock, after so many tries
    "vpindex": ON,  # the number of a CPU, which synic and stimer need
    "runtime": ON,  # the time for which a CPU really ran
    "synic": ON,  # the interrupt controller that stimer needs
    "stimer": ON,  # timers that cost an idle guest nearly nothing
    "reset": ON,  # a reset by register
    "frequencies": ON,  # TSC and APIC rates without measuring
    "tlbflush": ON,  # flushes no CPU that does not run
    "ipi": ON,  # one exit for interrupts to many CPUs
}
CLOCK = "hypervclock"  # the reference counter, with which Windows asks no emulated timer
LOCAL = "localtime"  # Windows keeps the hardware clock in local time


def flags(board: Board) -> Mapping[str, Mapping[str, str]]:
    """Those that the node offers, in their order."""
    return {name: values for name, values in FLAGS.items() if name in board.hyperv}


def add_features(features: ET.Element, board: Board) -> None:
    """Add them to <features>."""
    if not (offered := flags(board)):
        return
    hyperv = ET.SubElement(features, "hyperv", mode="custom")
    for name, values in offered.items():
        ET.SubElement(hyperv, name, dict(values))


def add_clock(clock: ET.Element, board: Board) -> None:
    """Add its timer to <clock>."""
    clock.set("offset", LOCAL)
    if board.hyperv:
        ET.SubElement(clock, "timer", name=CLOCK, present="yes")
