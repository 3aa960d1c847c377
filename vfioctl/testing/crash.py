"""crash_at(n), pause_at(n): the engine dies or stops at its n-th journal boundary, in whichever process that is."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Callable

from vfioctl.txn.journal import Moment

BOUNDARIES = ".kit/boundaries"
PLAN = ".kit/crash"
PAUSED = ".kit/paused"


def crash_at(root: str | os.PathLike[str], number: int | None) -> None:
    """Let the process that passes boundary `number` (the first is 1) kill itself there; None: nobody dies.

    Counting starts anew.
    """
    clear(root)
    if number is not None:
        _plan(root, number, signal.SIGKILL)


def pause_at(root: str | os.PathLike[str], number: int) -> None:
    """Let the process that passes boundary `number` stop there (SIGSTOP) until it gets SIGCONT; see `paused`."""
    clear(root)
    _plan(root, number, signal.SIGSTOP)


def paused(root: str | os.PathLike[str]) -> int | None:
    """The process that has stopped at its boundary, once it has."""
    try:
        with open(os.path.join(root, PAUSED), encoding="utf-8") as file:
            pid = int(file.read() or 0)
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return pid if file.read().rpartition(")")[2].split()[0] == "T" else None
    except FileNotFoundError:
        return None


def _plan(root: str | os.PathLike[str], number: int, what: signal.Signals) -> None:
    with open(os.path.join(root, PLAN), "w", encoding="utf-8") as file:
        file.write(f"{number} {int(what)}")


def clear(root: str | os.PathLike[str]) -> None:
    """Forget the plan and what has been counted."""
    for name in (BOUNDARIES, PLAN, PAUSED):
        if os.path.exists(os.path.join(root, name)):
            os.unlink(os.path.join(root, name))


def boundaries(root: str | os.PathLike[str]) -> tuple[str, ...]:
    """The names of the boundaries passed since the last `crash_at`, in order."""
    try:
        with open(os.path.join(root, BOUNDARIES), encoding="utf-8") as file:
            return tuple(file.read().splitlines())
    except FileNotFoundError:
        return ()


def boundary(root: str) -> Callable[[Moment | str], None]:
    """What the kit's composition calls at each boundary: counts it, and dies there when the plan says so."""

    counted, planned = os.path.join(root, BOUNDARIES), os.path.join(root, PLAN)

    def passed(moment: Moment | str) -> None:
        if isinstance(moment, Moment) and moment.what == "progress":
            return
        fd = os.open(counted, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        fcntl.flock(fd, fcntl.LOCK_EX)
        os.write(fd, f"{moment}\n".encode())
        number, what = _planned(root) if os.path.exists(planned) else (0, 0)  # the benchmarks meet none
        due = number and len(boundaries(root)) == number
        os.close(fd)
        if due and what == signal.SIGSTOP:
            with open(os.path.join(root, PAUSED), "w", encoding="utf-8") as file:
                file.write(str(os.getpid()))
        if due:
            os.kill(os.getpid(), what)

    return passed


def _planned(root: str) -> tuple[int, int]:
    try:
        with open(os.path.join(root, PLAN), encoding="utf-8") as file:
            number, what = file.read().split()
            return int(number), int(what)
    except FileNotFoundError:
        return 0, 0
