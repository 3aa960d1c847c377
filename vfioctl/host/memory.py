"""The memory of the host, as the kernel counts it. Reads only."""

from __future__ import annotations

import os

from vfioctl.host.readers import entries, number, parse_number, table
from vfioctl.paths import Paths

PAGE = os.sysconf("SC_PAGE_SIZE")  # bytes of an ordinary page
SIZE = 1 << 16
NODES = "sys/devices/system/node"
HEURISTIC, ALWAYS, STRICT = 0, 1, 2  # vm.overcommit_memory: Documentation/mm/overcommit-accounting.rst


def meminfo(paths: Paths) -> dict[str, int]:
    """/proc/meminfo in bytes, by name ("MemTotal"); counts of pages are left out. Empty when it cannot be read."""
    found = {}
    for line in (table(os.path.join(paths.proc, "meminfo"), SIZE) or b"").decode("ascii", "replace").splitlines():
        name, _, rest = line.partition(":")
        value, _, unit = rest.strip().partition(" ")
        if unit == "kB" and (amount := parse_number(value)) is not None:
            found[name] = amount << 10
    return found


def nodes(paths: Paths) -> frozenset[int]:
    """The NUMA nodes of the host: every one has node 0, but for a kernel that shows none."""
    return frozenset(int(name[4:]) for name in entries(paths.at(NODES)) if name[4:].isdigit() and name[:4] == "node")


def overcommit(paths: Paths) -> int:
    """What the kernel does with a wish for more memory than there is."""
    return number(os.path.join(paths.proc, "sys/vm/overcommit_memory")) or HEURISTIC
