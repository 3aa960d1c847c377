"""Work that is done without root, in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Callable

NOBODY = 65534
UNKNOWN = 99  # the status where the work raised


def without_root(work: Callable[[], int]) -> int:
    """The status that `work` gives, done by a child that has given up root."""
    child = os.fork()
    if child == 0:
        status = UNKNOWN
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            status = work()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
