"""What the kernel says of processes and devices: who waits in it, which nodes a card has. Reads only."""

from __future__ import annotations

import glob
import os

from tests.lab.inside import card


def waiting() -> dict[str, str]:
    """Processes in the D state, by pid: command, and the function of the kernel in which each waits.

    Kernel threads come and go in that state; they have no memory map and are left out.
    """
    found = {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        comm, _, rest = card.read(path).partition("(")[2].rpartition(")")
        pid = path.split("/")[2]
        if rest.split()[:1] == ["D"] and "VmSize" in card.read(f"/proc/{pid}/status"):
            stack = card.read(f"/proc/{pid}/stack").splitlines()
            found[pid] = f"{comm}: {' < '.join(line.split()[-1].partition('+')[0] for line in stack[:4])}"
    return found


def states(pid: int) -> list[str]:
    """What each thread of the process does: R, S, D and so on (proc(5))."""
    told = (card.read(path) for path in glob.glob(f"/proc/{pid}/task/[0-9]*/stat"))
    return [text.rpartition(")")[2].split()[0] for text in told if text]


def dri_node(address: str) -> str:
    """/dev/dri/cardN of the card."""
    (name,) = (name for name in os.listdir(f"/sys/bus/pci/devices/{address}/drm") if name.startswith("card"))
    return f"/dev/dri/{name}"
