"""Counts the writes that reach attributes below /sys, by the kernel's own tracing; those of udev are left out.

A probe on sysfs_kf_write (fs/sysfs/file.c) sees each of them; cgroups, which lie below /sys too, have another one.
https://docs.kernel.org/trace/kprobetrace.html
"""

from __future__ import annotations

from collections.abc import Callable

from tests.lab.inside import card, standins

TRACING = "/sys/kernel/tracing"
PROBE = "vfioctl_bench"
EVENTS = f"{TRACING}/events/kprobes/{PROBE}/enable"


def counted(body: Callable[[], None]) -> int:
    """How many there are while `body` runs."""
    standins.write(f"{TRACING}/kprobe_events", f"p:{PROBE} sysfs_kf_write\n")
    try:
        standins.write(f"{TRACING}/trace", "")
        standins.write(EVENTS, "1")
        body()
        standins.write(EVENTS, "0")
        lines = card.read(f"{TRACING}/trace").splitlines()
        return sum(f"{PROBE}: " in line and "udev" not in line for line in lines)
    finally:
        standins.write(EVENTS, "0")
        standins.write(f"{TRACING}/kprobe_events", "")  # opening it to write takes every probe away
