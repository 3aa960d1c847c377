"""Long work in a child that can be left behind: it says how far it is, and is given up when it falls silent.

What waits for a server or a drive that is gone may wait for ever, and in the kernel no signal ends that. The child has
nothing of ours but what it is given, and ends with us, whatever ends us.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import time
from collections.abc import Callable
from functools import partial

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import VfioctlError, packed, unpacked
from vfioctl.files import write_all
from vfioctl.kernel_io import CHUNK, be_child
from vfioctl.wait import until

if TYPE_CHECKING:
    from typing import Any, TypeAlias, TypeVar

    T = TypeVar("T")
    Say: TypeAlias = Callable[..., None]

LISTEN = 0.25  # seconds between two looks whether it is still wanted
GRACE = 0.5  # for a child that was killed; what is left behind has its own time
SAID, GAVE, RAISED, FAILED, BROKE = "said", "gave", "raised", "failed", "broke"


class SilentError(Exception):
    """The child has said nothing for its time; `last` is what it said before."""

    def __init__(self, last: list[Any]) -> None:
        super().__init__(last)
        self.last = last


def followed(work: Callable[[Say], T], heard: Say, *, quiet: float, keep_fds: tuple[int, ...] = ()) -> T:
    """What `work(say)` returns, as JSON keeps it, done in a child that has `keep_fds`: `heard(*words)` for each
    `say(*words)` there, and `heard()` several times a second.

    What `heard` raises ends the child. Raises VfioctlError and OSError as `work` raises them, RuntimeError for a bug of
    it, and SilentError when it has said nothing for `quiet` seconds.
    """
    child = _Child(work, keep_fds)
    try:
        given: T = child.follow(heard, quiet)
        return given
    finally:
        child.end()


class _Child:
    """The forked process, which tells `reading`; `line` is open for as long as we are there."""

    def __init__(self, work: Callable[[Say], object], keep_fds: tuple[int, ...]) -> None:
        self.reading, writing = os.pipe2(os.O_CLOEXEC)
        ours, self.line = os.pipe2(os.O_CLOEXEC)
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            tell = partial(_tell, writing)
            be_child(lambda: _do(work, tell, ours, parent), lambda error: tell(*_told(error)), writing, ours, *keep_fds)
        os.close(writing)
        os.close(ours)

    def follow(self, heard: Say, quiet: float) -> Any:
        """What it gives in the end."""
        poller = select.poll()
        poller.register(self.reading, select.POLLIN)
        last: list[Any] = []
        rest, since = b"", time.monotonic()
        while True:
            if not poller.poll(LISTEN * 1000):
                heard()
                if time.monotonic() - since > quiet:
                    raise SilentError(last)
                continue
            if not (data := os.read(self.reading, CHUNK)):
                raise RuntimeError("a child failed: it was killed")
            since = time.monotonic()
            *lines, rest = (rest + data).split(b"\n")
            for what, *words in map(json.loads, lines):
                if what != SAID:
                    return _outcome(what, words)
                last = words
                heard(*words)

    def end(self) -> None:
        """One that waits in the kernel is left there, and ends when it comes back from it."""
        os.close(self.reading)
        os.close(self.line)
        os.kill(self.pid, signal.SIGKILL)
        until(lambda: os.waitpid(self.pid, os.WNOHANG) != (0, 0), GRACE)


def _outcome(what: str, words: list[Any]) -> Any:
    if what == RAISED:
        raise unpacked(*words)
    if what == FAILED:
        raise OSError(words[0], os.strerror(words[0]))
    if what == BROKE:
        raise RuntimeError(f"a child failed: {words[0]}")
    return words[0]


def _tell(writing: int, *words: object) -> None:
    write_all(writing, json.dumps(words).encode() + b"\n")


def _do(work: Callable[[Say], object], tell: Say, line: int, parent: int) -> None:
    _end_with(line, parent)
    tell(GAVE, work(lambda *words: tell(SAID, *words)))


def _told(error: Exception) -> tuple[object, ...]:
    """What `_outcome` raises again."""
    if isinstance(error, VfioctlError):
        return (RAISED, *packed(error))
    return (FAILED, error.errno or 0) if isinstance(error, OSError) else (BROKE, f"{type(error).__name__}: {error}")


def _end_with(line: int, parent: int) -> None:
    """Have the kernel end this process when its parent has gone: the other end of `line` closes with it.

    SIGIO then says so (fcntl(2), O_ASYNC), and ends who does not handle it.
    """
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGIO})
    fcntl.fcntl(line, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(line, fcntl.F_SETFL, os.O_ASYNC)
    if os.getppid() != parent:  # it went before anybody would have said so
        os._exit(0)
