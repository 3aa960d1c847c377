"""Kernel reads and writes that may never return, made by one detached child with a deadline for each. Knows no device.

A write under the device lock can wait for ever, and SIGKILL does not end it. The child that makes it is then left
behind, and another one takes the next write. It holds none of our locks: a stuck device must not keep the rest of the
desktop from coming back, and whoever comes next finds the device recorded or stuck itself.
"""

from __future__ import annotations

import json
import os
import select
import signal

from vfioctl.errors import Stuck

CHUNK = 65536


class StuckRead(Exception):
    """A kernel read that did not return in its time; the child `pid` still waits in it."""

    def __init__(self, path: str, pid: int) -> None:
        super().__init__(path)
        self.pid = pid


class StuckWrite(Stuck):
    """A kernel write that did not return in its time; the child that makes it still runs."""

    def __init__(self, path: str, value: str, pid: int, deadline: float) -> None:
        super().__init__(
            "kernel.stuck",
            f"The kernel does not return from writing {value!r} to {path} ({deadline:g} s); process {pid} waits in it.",
            state="Nothing more is written to that device.",
            hints=("End what uses the device, then see: vfioctl status",),
        )
        self.path = path
        self.value = value
        self.pid = pid


class Writer:
    """The child, forked when it is first needed; a fork of ours that shares this object forks its own."""

    def __init__(self) -> None:
        self._child: _Child | None = None

    def swap(self, path: str, value: str, *, deadline: float, unless: tuple[str, ...] = ()) -> tuple[str, str]:
        """Write `value` to the kernel file `path`, unless it says one of `unless` already.

        Returns what it said before and after; with no `unless` it is not read, and both are "". Raises OSError as the
        kernel said it, and StuckWrite when the write does not return in `deadline` seconds: nothing may be written to
        that device then.
        """
        before, after = self._ask(path, value, unless, deadline) or (None, "")
        if before is None:
            raise StuckWrite(path, value, self._give_up(), deadline)
        return before, after

    def look(self, path: str, *, deadline: float) -> str:
        """What the kernel file `path` says. Raises OSError, and StuckRead when it does not in `deadline` seconds."""
        said = self._ask(path, None, (), deadline)
        if said is None:
            raise StuckRead(path, self._give_up())
        return said[0]

    def _ask(self, path: str, value: str | None, unless: tuple[str, ...], deadline: float) -> tuple[str, str] | None:
        if self._child is None or self._child.parent != os.getpid():
            self._child = _Child()
        answer = self._child.ask(json.dumps([path, value, unless]).encode() + b"\n", deadline)
        if answer is None:
            return None
        errno, before, after = json.loads(answer)
        if errno:
            raise OSError(errno, os.strerror(errno), path)
        return before, after

    def _give_up(self) -> int:
        """Leave the child that is stuck behind; its pid."""
        assert self._child
        stuck, self._child = self._child, None
        return stuck.pid


class _Child:
    """One forked process with a pipe each way. It ends when its requests do."""

    def __init__(self) -> None:
        asked, self.asking = os.pipe2(os.O_CLOEXEC)
        self.answers, answering = os.pipe2(os.O_CLOEXEC)
        self.parent = 0
        self.pid = os.fork()
        if self.pid == 0:
            _serve(asked, answering)
        self.parent = os.getpid()
        os.close(asked)
        os.close(answering)
        self.poller = select.poll()
        self.poller.register(self.answers, select.POLLIN)

    def ask(self, request: bytes, deadline: float) -> bytes | None:
        """The answer, or None when none comes in time."""
        os.write(self.asking, request)
        if not self.poller.poll(max(0.0, deadline) * 1000):
            return None
        return os.read(self.answers, CHUNK)

    def __del__(self) -> None:
        """Let the child see the end of its requests; one that is stuck is not waited for."""
        if os.getpid() != self.parent:
            return  # a fork of ours inherited this object; the child is its parent's, the numbers may be others' by now
        os.close(self.asking)
        os.close(self.answers)
        os.waitpid(self.pid, os.WNOHANG)


def _serve(asked: int, answering: int) -> None:
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # meant for the engine, which finishes its step
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        close_all_but(asked, answering)
        with os.fdopen(asked, "rb") as requests:
            for request in requests:
                os.write(answering, _answer(*json.loads(request)))
    finally:
        os._exit(0)


def _answer(path: str, value: str | None, unless: list[str]) -> bytes:
    try:
        if value is None:
            return json.dumps([0, _read(path), ""]).encode()
        before = _read(path) if unless else ""
        if before not in unless:
            fd = os.open(path, os.O_WRONLY)
            try:
                os.write(fd, value.encode())
            finally:
                os.close(fd)
        return json.dumps([0, before, _read(path) if unless else ""]).encode()
    except OSError as error:
        return json.dumps([error.errno, "", ""]).encode()


def _read(path: str) -> str:
    """In one read: a kernel file makes its text anew at each, and a text file object would ask twice and more."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, CHUNK).decode("utf-8", "replace").strip()
    finally:
        os.close(fd)


def close_all_but(*keep: int) -> None:
    """Close every descriptor but `keep`; standard input, output and error go to /dev/null."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    kept = sorted({0, 1, 2, *(fd for fd in keep if fd >= 0)})
    for low, high in zip(kept, [*kept[1:], CHUNK], strict=True):
        os.closerange(low + 1, high)
