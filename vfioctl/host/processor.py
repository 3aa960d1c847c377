"""What the kernel calls the processor. Reads only."""

from __future__ import annotations

import os

from vfioctl.host.readers import table
from vfioctl.paths import Paths

SIZE = 1 << 16  # the first of many processors says it
KEYS = ("model name", "Processor", "cpu model", "Model")  # of x86, of old Arm kernels, of MIPS, of boards (proc(5))


def processor_name(paths: Paths) -> str:
    """The first name in /proc/cpuinfo; "" where it has none."""
    lines = (table(os.path.join(paths.proc, "cpuinfo"), SIZE) or b"").decode("utf-8", "replace").splitlines()
    said: dict[str, str] = {}
    for key, _, value in (line.partition(":") for line in lines):
        said.setdefault(key.strip(), " ".join(value.split()))
    return next((said[key] for key in KEYS if said.get(key)), "")
