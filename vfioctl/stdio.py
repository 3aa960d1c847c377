"""The standard input, output and error of this process: closed ones are replaced first. Prints nothing."""

from __future__ import annotations

import os
import sys

STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def guard() -> None:
    """Open /dev/null in place of closed standard descriptors: else the next file that is opened becomes one of them."""
    for fd in range(len(STREAMS)):
        try:
            os.fstat(fd)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)  # the lowest free one
            if null != fd:
                os.dup2(null, fd)
                os.close(null)


def streams() -> None:
    """Give Python the streams of guarded descriptors: it sets sys.stdout to None where it was started without one."""
    for fd, (name, mode) in enumerate(STREAMS):
        if getattr(sys, name) is None:
            setattr(sys, name, open(fd, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 -- for the whole process


def discard(fd: int) -> None:
    """Let what is still written to `fd` go to /dev/null: Python would try to write it once more when it ends."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, fd)
    os.close(null)
