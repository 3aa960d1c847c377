"""What the kernel calls the processor, and what that can do. Reads only."""

from __future__ import annotations

import os

from vfioctl.host.readers import table, text
from vfioctl.paths import Paths

SIZE = 1 << 16  # the first of many processors says it
KEYS = ("model name", "Processor", "cpu model", "Model")  # of x86, of old Arm kernels, of MIPS, of boards (proc(5))


def processor_name(paths: Paths) -> str:
    """The first name in /proc/cpuinfo; "" where it has none."""
    said = _first(paths)
    return next((said[key] for key in KEYS if said.get(key)), "")


def processor_flags(paths: Paths) -> frozenset[str]:
    """What the first processor of x86 can do, as /proc/cpuinfo calls it: vmx, svm; none where it does not say."""
    return frozenset(_first(paths).get("flags", "").split())


def is_arm(paths: Paths) -> bool:
    """Whether it is one of Arm, which has no flags but "Features" (arch/arm64/kernel/cpuinfo.c)."""
    return "CPU implementer" in _first(paths)


def present_cpus(paths: Paths) -> str:
    """The numbers of the CPUs that are there, on or off, as "0-7"; "" where sysfs does not say."""
    return text(paths.at("sys/devices/system/cpu/present")) or ""


def _first(paths: Paths) -> dict[str, str]:
    """What /proc/cpuinfo says first under each key."""
    lines = (table(os.path.join(paths.proc, "cpuinfo"), SIZE) or b"").decode("utf-8", "replace").splitlines()
    said: dict[str, str] = {}
    for key, _, value in (line.partition(":") for line in lines):
        said.setdefault(key.strip(), " ".join(value.split()))
    return said
