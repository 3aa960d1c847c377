"""A share on a real FUSE mount that can stop to answer, as a hard NFS mount does whose server is gone.

And processes of any user that have something open: each does its work, and stays until the block ends.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import select
import signal
import socket
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from vfioctl.writer import close_all_but

HEADER = struct.Struct("<IIQQIIII")
ANSWER = struct.Struct("<IiQ")
LOOKUP, FORGET, GETATTR, OPEN, READ, INIT, INTERRUPT, BATCH_FORGET = 1, 2, 3, 14, 15, 26, 36, 42
INIT_OUT = struct.Struct("<IIIIHHIIHHI28x")
ENTRY = struct.Struct("<QQQQII")
ATTR = struct.Struct("<QQQQQQIIIIIIIIII")
ATTR_VALID = struct.Struct("<QII")
OPENED = struct.Struct("<QIi")
COMMAND = struct.Struct("<i")
SILENT = -1
ROOT, FILM = 1, 2
BUFFER = 1 << 18
PR_SET_DUMPABLE = 4
MS_NOSUID, MS_NODEV, MNT_DETACH = 2, 4, 2
libc = ctypes.CDLL(None, use_errno=True)

needs_mount = pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists("/dev/fuse"), reason="mounting needs root")


class Share:
    """The mount at `place` with one file. `uid` is who mounted it; without `shared` nobody else may look at it."""

    def __init__(self, place: str, *, uid: int = 0, shared: bool = True) -> None:
        self.place = place
        self.film = os.path.join(place, "film")
        os.makedirs(place, exist_ok=True)
        self.fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self.fd},rootmode=40755,user_id={uid},group_id={uid}{',allow_other' if shared else ''}"
        if libc.mount(b"share", os.fsencode(place), b"fuse", MS_NOSUID | MS_NODEV, options.encode()):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), place)
        self.line, other = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            close_all_but(self.fd, other.fileno())
            with suppress(OSError):
                _serve(self.fd, other, uid)
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


def _serve(fd: int, line: socket.socket, uid: int) -> None:
    refusal = 0
    while True:
        ready, _, _ = select.select([fd, line], [], [])
        if line in ready:
            (refusal,) = COMMAND.unpack(line.recv(COMMAND.size))
            line.send(b".")
            continue
        _, opcode, unique, ino, *_ = HEADER.unpack_from(os.read(fd, BUFFER))
        if opcode in (FORGET, INTERRUPT, BATCH_FORGET, READ) or (refusal == SILENT and opcode != INIT):
            continue  # data are never given: who maps the file and touches it waits
        answer = _answer(opcode, ino, uid)
        number = refusal if opcode == GETATTR and ino == FILM else 0 if answer is not None else errno.ENOSYS
        body = b"" if number or answer is None else answer
        os.write(fd, ANSWER.pack(ANSWER.size + len(body), -number, unique) + body)


def _answer(opcode: int, ino: int, uid: int) -> bytes | None:
    if opcode == INIT:
        return INIT_OUT.pack(7, 31, 0, 0, 64, 48, 65536, 1, 0, 0, 0)
    if opcode == LOOKUP:
        return ENTRY.pack(FILM, 0, 0, 0, 0, 0) + _attributes(FILM, uid)
    if opcode == GETATTR:
        return ATTR_VALID.pack(0, 0, 0) + _attributes(ino, uid)
    return OPENED.pack(1, 0, 0) if opcode == OPEN else None


def _attributes(ino: int, uid: int) -> bytes:
    mode = 0o100666 if ino == FILM else 0o040777
    return ATTR.pack(ino, 1 << 20, 8, 0, 0, 0, 0, 0, 0, mode, 1, uid, uid, 0, 4096, 0)


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
