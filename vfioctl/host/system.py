"""The kernel's own names for itself and for this boot. Reads only."""

from __future__ import annotations

import os

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
