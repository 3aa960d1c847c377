"""A share on a real FUSE mount that can stop to answer, as a hard NFS mount does whose server is gone.

And processes of any user that have something open: each does its work, and stays until the block ends.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.lab.inside.fuse import COMMAND, SILENT, libc, mount, serve
from vfioctl.kernel_io import close_all_but

__all__ = ["SILENT", "Share", "alone", "libc", "needs_mount", "process", "reap", "share"]

MNT_DETACH = 2
PR_SET_DUMPABLE = 4

needs_mount = pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists("/dev/fuse"), reason="mounting needs root")


class Share:
    """The mount at `place` with one file. `uid` is who mounted it; without `shared` nobody else may look at it."""

    def __init__(self, place: str, *, uid: int = 0, shared: bool = True) -> None:
        self.place = place
        self.film = os.path.join(place, "film")
        self.fd = mount(place, uid, shared=shared)
        self.line, other = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            close_all_but(self.fd, other.fileno())
            with suppress(OSError):
                serve(self.fd, other, uid)
            os._exit(0)
        other.close()

    def answer_with(self, number: int) -> None:
        """From now on attributes are refused with the error `number`; with SILENT nothing is answered at all."""
        self.line.send(COMMAND.pack(number))
        self.line.recv(1)

    def die(self) -> None:
        """End the server: whoever asks gets ENOTCONN."""
        if self.fd >= 0:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            os.close(self.fd)
            self.fd = -1

    def end(self) -> None:
        libc.umount2(os.fsencode(self.place), MNT_DETACH)
        self.die()
        self.line.close()


@contextmanager
def alone() -> Iterator[None]:
    """One test at a time, whichever process runs it: what one makes hang, the others' passes over /proc meet."""
    with open(os.path.join(tempfile.gettempdir(), ".vfioctl-tests-proc"), "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def share(place: str, *, uid: int = 0, shared: bool = True) -> Iterator[Share]:
    made = Share(place, uid=uid, shared=shared)
    try:
        yield made
    finally:
        made.end()


@contextmanager
def process(work: Callable[[], object], *, uid: int = 0, keep: tuple[int, ...] = ()) -> Iterator[int]:
    """The pid of a process of the user `uid` that has done `work`, with the descriptors `keep` of ours."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        try:
            close_all_but(writing, *keep)  # above all a share's /dev/fuse, for as long as which its mount lives
            _become(uid)
            kept = [work(), os.write(writing, b".")]
            signal.pause()
            del kept
        finally:
            os._exit(1)
    os.close(writing)
    try:
        assert os.read(reading, 1) == b".", "its work failed"
        yield pid
    finally:
        os.close(reading)
        os.kill(pid, signal.SIGKILL)
        _reap.append(pid)


_reap: list[int] = []


def reap() -> None:
    """Wait for the processes that have ended; one that hung ends with its share."""
    while _reap:
        os.waitpid(_reap.pop(), 0)


def _become(uid: int) -> None:
    if uid:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # as after an exec(2)
