"""crash_at(n): the engine dies by SIGKILL at its n-th journal boundary, in whichever process that is."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Callable

BOUNDARIES = ".kit/boundaries"
PLAN = ".kit/crash"


def crash_at(root: str | os.PathLike[str], number: int | None) -> None:
    """Let the process that passes boundary `number` (the first is 1) kill itself there; None: nobody dies.

    Counting starts anew.
    """
    clear(root)
    if number is not None:
        with open(os.path.join(root, PLAN), "w", encoding="utf-8") as file:
            file.write(str(number))


def clear(root: str | os.PathLike[str]) -> None:
    """Forget the plan and what has been counted."""
    for name in (BOUNDARIES, PLAN):
        if os.path.exists(os.path.join(root, name)):
            os.unlink(os.path.join(root, name))


def boundaries(root: str | os.PathLike[str]) -> tuple[str, ...]:
    """The names of the boundaries passed since the last `crash_at`, in order."""
    try:
        with open(os.path.join(root, BOUNDARIES), encoding="utf-8") as file:
            return tuple(file.read().splitlines())
    except FileNotFoundError:
        return ()


def boundary(root: str) -> Callable[[str], None]:
    """What the kit's composition calls at each boundary: counts it, and dies there when the plan says so."""

    def passed(name: str) -> None:
        fd = os.open(os.path.join(root, BOUNDARIES), os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        fcntl.flock(fd, fcntl.LOCK_EX)
        os.write(fd, f"{name}\n".encode())
        if len(boundaries(root)) == _planned(root):
            os.kill(os.getpid(), signal.SIGKILL)
        os.close(fd)

    return passed


def _planned(root: str) -> int | None:
    try:
        with open(os.path.join(root, PLAN), encoding="utf-8") as file:
            return int(file.read())
    except FileNotFoundError:
        return None
