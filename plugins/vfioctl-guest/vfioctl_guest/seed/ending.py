"""How the last run of a guest has ended, as libvirt and its log of the guest have it. Changes nothing."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from vfioctl.plugin import VfioctlError, open_plain

if TYPE_CHECKING:
    from vfioctl.plugin import Call
    from vfioctl_guest.life import Subject

LOGS = "var/log/libvirt/qemu"  # which root alone may read
SHUTDOWN = "shutdown"  # a guest that was switched off, crashed or lost its power has another word, or none
BEGIN, END = ": starting up", ": shutting down, reason="
TAIL = 1 << 16  # bytes: nothing comes behind the line about its end


def has_shut_down(call: Call, about: Subject) -> bool:
    """Whether the guest, which is off, has shut down by itself; False where nobody knows.

    What libvirt has forgotten with a restart of its own, or of the host, stands in its log on this host.
    """
    if about.guest.ended or not about.local:
        return about.guest.ended == SHUTDOWN
    log = call.paths.at(LOGS, f"{about.name}.log")
    try:
        return call.host().ask(log, partial(_logged, log)) == SHUTDOWN
    except (OSError, VfioctlError):
        return False


def _logged(log: str) -> str:
    """libvirt's word for how the last run ended, "" where the log does not say it."""
    fd = open_plain(log, foreign=True)
    try:
        os.lseek(fd, max(0, os.fstat(fd).st_size - TAIL), os.SEEK_SET)
        lines = os.read(fd, TAIL).decode(errors="replace").splitlines()
    finally:
        os.close(fd)
    last = next((line for line in reversed(lines) if BEGIN in line or END in line), "")
    return last.partition(END)[2].strip()
