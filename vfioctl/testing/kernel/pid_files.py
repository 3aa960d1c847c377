"""The pid file that libvirt writes of each QEMU that it starts. Nobody has it locked here, as with an old libvirt."""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import pairwise

from vfioctl.host.guests import name_in
from vfioctl.host.pid_files import ENDING, PLACE
from vfioctl.testing.model import FakeProcess


def guest_of(spec: FakeProcess) -> str:
    """The guest whose QEMU libvirt has started so; "" for any other process."""
    name = next((value for option, value in pairwise(spec.cmdline) if option == "-name"), "")
    is_libvirts = spec.uid == 0 and spec.comm.startswith("qemu")
    return spec.guest or (name_in(name) if is_libvirts else "")


def make_place(root: str) -> None:
    """The daemon's directory below `root`, in which it makes one for pid files."""
    os.makedirs(os.path.join(root, os.path.dirname(PLACE)), exist_ok=True)


def write(root: str, spec: FakeProcess, pid: int) -> None:
    """Name `pid` in the pid file of its guest, when it is the QEMU of one."""
    if not root or not (guest := guest_of(spec)) or "/" in guest:
        return
    os.makedirs(os.path.join(root, PLACE), exist_ok=True)
    with open(path(root, guest), "w", encoding="ascii") as file:
        file.write(str(pid))


def remove(root: str, guest: str) -> None:
    """As libvirt does between `stopped` and `release`."""
    with suppress(FileNotFoundError):
        os.unlink(path(root, guest))


def path(root: str, guest: str) -> str:
    """Where the pid file of `guest` is on the machine below `root`."""
    return os.path.join(root, PLACE, f"{guest}{ENDING}")
