"""The kernel's own names for itself and for this boot, and the QEMU of a domain. Reads only."""

from __future__ import annotations

import os
from itertools import pairwise

from vfioctl.host.processes import arguments
from vfioctl.host.readers import text
from vfioctl.paths import Paths


def boot_id(paths: Paths) -> str:
    """The id of this boot; "" when the kernel does not say."""
    return text(os.path.join(paths.proc, "sys/kernel/random/boot_id")) or ""


def kernel_release(paths: Paths) -> str:
    """The release of the running kernel; "" when the kernel does not say."""
    return text(os.path.join(paths.proc, "sys/kernel/osrelease")) or ""


def command_line(paths: Paths) -> str:
    """The command line of the kernel."""
    return text(os.path.join(paths.proc, "cmdline")) or ""


def qemu_of(paths: Paths, uuid: str) -> int | None:
    """The process that was started with `-uuid UUID`, as libvirt starts QEMU, or None."""
    for name in os.listdir(paths.proc):
        if name.isdecimal() and _is_qemu_of(paths, name, uuid.encode()):
            return int(name)
    return None


def _is_qemu_of(paths: Paths, pid: str, uuid: bytes) -> bool:
    return any(pair == (b"-uuid", uuid) for pair in pairwise(arguments(paths, pid).split(b"\0")))
