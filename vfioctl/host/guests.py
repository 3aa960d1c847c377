"""The guests that run now, and the QEMU of each: what libvirt's pid files prove. Reads only, needs no root."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import pairwise

from vfioctl.host import pid_files
from vfioctl.host.processes import ARGUMENTS_SECONDS, arguments, comm
from vfioctl.paths import Paths

GUEST = "guest="  # libvirt writes `-name guest=NAME,debug-threads=on`; QEMU doubles a comma of the name itself
NAME, UUID = b"-name", b"-uuid"


def running(paths: Paths) -> dict[str, int]:
    """Name → process of each guest that runs."""
    if not pid_files.are_kept(paths):
        return {name: pid for pid, words in _by_arguments(paths).items() if (name := _name(words))}
    proved = {name: pid for name in pid_files.names(paths) if (pid := pid_files.process(paths, name))}
    told = arguments(paths, proved.values())
    return {name: pid for name, pid in proved.items() if pid not in told or _name(told[pid]) == name}


def qemu_of(paths: Paths, uuid: str, guest: str = "") -> int | None:
    """The QEMU that runs the domain `uuid`, which is called `guest`, or None.

    Two guests may have had one name after another: QEMU's arguments tell them apart. Where they do not answer, or
    there are none, the name decides.
    """
    if not pid_files.are_kept(paths):
        return next((pid for pid, words in _by_arguments(paths).items() if _option(words, UUID) == uuid), None)
    for name in (guest,) if guest else pid_files.names(paths):
        pid = pid_files.process(paths, name)
        told = _option(arguments(paths, (pid,)).get(pid, ()), UUID) if pid else None
        if told == uuid or (guest and told == ""):
            return pid
    return None


def _by_arguments(paths: Paths) -> dict[int, Sequence[bytes]]:
    """Of each process that could be QEMU, and has a -uuid, the arguments: for a libvirt that keeps its files elsewhere.

    Whoever else has such arguments does not count, and is not read.
    """
    pids = [int(name) for name in os.listdir(paths.proc) if name.isdecimal()]
    told = arguments(paths, (pid for pid in pids if pid_files.can_be_qemu(paths, pid)))
    return {pid: words for pid, words in told.items() if UUID in words}


def name_of(paths: Paths, pid: int, *, deadline: float = ARGUMENTS_SECONDS) -> str:
    """The name in QEMU's option -name of the process `pid`; "" when it has none, or does not answer."""
    return _name(arguments(paths, (pid,), deadline=deadline).get(pid, ()))


def describe(paths: Paths, pid: int) -> str:
    """The process `pid` for people: the guest that it runs, by QEMU's option -name, or its command and number."""
    name = name_of(paths, pid)
    return f"guest {name}" if name else f"process {pid} ({comm(paths, pid)})"


def _name(words: Iterable[bytes]) -> str:
    return name_in(_option(words, NAME))


def _option(words: Iterable[bytes], option: bytes) -> str:
    """The word after `option`; "" when there is none."""
    return os.fsdecode(next((value for name, value in pairwise(words) if name == option), b""))


def name_in(value: str) -> str:
    """The guest's name in the value of QEMU's option -name."""
    whole = value.replace(",,", "\0").partition(",")[0].replace("\0", ",")
    return whole.removeprefix(GUEST)
