"""Has bytes written in a child that a hanging drive cannot make us wait for. Knows no step, and no reason to write."""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import Unanswered
from vfioctl.followed import SilentError, followed

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from vfioctl.followed import Say
    from vfioctl.txn.machine import Machine

    T = TypeVar("T")


def beside(
    machine: Machine, path: str, work: Callable[[Say], T], *, quiet: float, keep_fds: tuple[int, ...] = ()
) -> T:  # fmt: skip
    """What `work(say)` returns, which writes to `path`: `say(done, total)` there is its progress here, in bytes.

    It ends with us, and where it has to stop. Raises what `work` and a checkpoint raise, and Unanswered where `path` is
    silent already, or nothing is heard of it for `quiet` seconds.
    """
    if machine.reach.is_silent(path):
        raise Unanswered(path)

    def heard(done: int | None = None, total: int = 0) -> None:
        if done is not None:
            machine.progress(done, total, "bytes")
        machine.checkpoint()

    try:
        return followed(work, heard, quiet=quiet, keep_fds=keep_fds)
    except SilentError as error:
        machine.reach.silence(path)
        raise Unanswered(path) from error
