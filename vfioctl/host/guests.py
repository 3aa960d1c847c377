"""The guests that run now, by name: every process that libvirt started as a QEMU. Reads only, needs no root."""

from __future__ import annotations

import os
from itertools import pairwise

from vfioctl.host.processes import comm
from vfioctl.host.readers import raw
from vfioctl.host.system import ARGUMENTS_SIZE
from vfioctl.paths import Paths

GUEST = "guest="  # libvirt writes `-name guest=NAME,debug-threads=on`; QEMU doubles a comma of the name itself


def running(paths: Paths) -> dict[str, int]:
    """Name → process of each guest that runs."""
    found = {}
    for entry in os.listdir(paths.proc):
        if entry.isdecimal() and (name := _guest_of(os.path.join(paths.proc, entry))):
            found[name] = int(entry)
    return found


def _guest_of(base: str) -> str:
    """The name of the guest that a process is started for; "" for any other process."""
    arguments = (raw(os.path.join(base, "cmdline"), ARGUMENTS_SIZE) or b"").split(b"\0")
    options = dict(pairwise(arguments))
    if b"-uuid" not in options or b"-name" not in options:
        return ""
    return name_in(os.fsdecode(options[b"-name"]))


def describe(paths: Paths, pid: int) -> str:
    """The process `pid` for people: the guest that it runs, by QEMU's option -name, or its command and number."""
    arguments = (raw(os.path.join(paths.proc, str(pid), "cmdline"), ARGUMENTS_SIZE) or b"").split(b"\0")
    value = dict(pairwise(arguments)).get(b"-name")
    return f"guest {name_in(os.fsdecode(value))}" if value else f"process {pid} ({comm(paths, pid)})"


def name_in(value: str) -> str:
    """The guest's name in the value of QEMU's option -name."""
    whole = value.replace(",,", "\0").partition(",")[0].replace("\0", ",")
    return whole.removeprefix(GUEST)
