"""Has a download done in a child: neither a server nor a drive that is gone makes the operation wait for ever.

Progress and the wish to stop pass between both. Knows no step.
"""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import Unanswered
from vfioctl.followed import SilentError, followed
from vfioctl.kinds.files import web
from vfioctl.kinds.files.download import download
from vfioctl.kinds.files.part import SERVER, Part

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeVar

    from vfioctl.followed import Say
    from vfioctl.txn.machine import Machine

    T = TypeVar("T")


class Filler:
    """What brings the content of `url` into a part, in the child."""

    def __init__(self, url: str, boot: str, say: Say) -> None:
        self.url = url
        self.boot = boot
        self.say = say

    def fill(self, fd: int, called: str, *, limit: int, wanted: Mapping[str, str]) -> Part:
        """The part `fd`, whole, with the checksums that are wanted. Raises what `download` raises."""
        part = Part(fd, wanted, self.boot, self.say)
        download(self.url, part, called, limit=limit)
        return part


def aside(
    machine: Machine, url: str, path: str, work: Callable[[Filler], T], keep_fds: tuple[int, ...] = ()
) -> T:  # fmt: skip
    """What `work` returns, which brings what `url` gives to `path`.

    Raises what `work` and a checkpoint raise, and where nothing is heard of it for twice as long as a connection may be
    silent DeadlineExceeded("fetch.stalled") or Unanswered, by what it waits for.
    """
    if machine.reach.is_silent(path):
        raise Unanswered(path)
    boot, quiet = machine.host().boot_id(), 2 * web.STALL  # a connection is made and answered, each in its own time
    try:
        return followed(lambda say: work(Filler(url, boot, say)), _hearing(machine), quiet=quiet, keep_fds=keep_fds)
    except SilentError as error:
        if error.last[:1] == [SERVER]:
            raise web.stalled(url, quiet) from error
        machine.reach.silence(path)
        raise Unanswered(path) from error


def _hearing(machine: Machine) -> Say:
    """Tells how far it is, each time that it has come further, and looks whether it is to stop.

    Not all is passed on: what it has come to is told once more when it stands still.
    """
    told, is_last = (0, 0), True

    def heard(_place: str = "", *now: int) -> None:
        nonlocal told, is_last
        if now not in ((), told):
            told, is_last = (now[0], now[1]), False
            machine.progress(*told, "bytes")
        elif not now and not is_last:
            is_last = True
            machine.progress(*told, "bytes")
        machine.checkpoint()

    return heard
