"""The guests that run now, by name: every process that libvirt started as a QEMU. Reads only, needs no root."""

from __future__ import annotations

import os
from itertools import pairwise

from vfioctl.host.processes import arguments, comm
from vfioctl.paths import Paths

GUEST = "guest="  # libvirt writes `-name guest=NAME,debug-threads=on`; QEMU doubles a comma of the name itself


def running(paths: Paths) -> dict[str, int]:
    """Name → process of each guest that runs."""
    found = {}
    for entry in os.listdir(paths.proc):
        if entry.isdecimal() and (name := _guest_of(paths, entry)):
            found[name] = int(entry)
    return found


def _guest_of(paths: Paths, pid: str) -> str:
    """The name of the guest that a process is started for; "" for any other process."""
    options = _options(paths, pid)
    return _name(options) if b"-uuid" in options else ""


def name_of(paths: Paths, pid: int) -> str:
    """The name in QEMU's option -name of the process `pid`; "" when it has none."""
    return _name(_options(paths, pid))


def describe(paths: Paths, pid: int) -> str:
    """The process `pid` for people: the guest that it runs, by QEMU's option -name, or its command and number."""
    name = name_of(paths, pid)
    return f"guest {name}" if name else f"process {pid} ({comm(paths, pid)})"


def _options(paths: Paths, pid: int | str) -> dict[bytes, bytes]:
    return dict(pairwise(arguments(paths, pid).split(b"\0")))


def _name(options: dict[bytes, bytes]) -> str:
    return name_in(os.fsdecode(options.get(b"-name", b"")))


def name_in(value: str) -> str:
    """The guest's name in the value of QEMU's option -name."""
    whole = value.replace(",,", "\0").partition(",")[0].replace("\0", ",")
    return whole.removeprefix(GUEST)
