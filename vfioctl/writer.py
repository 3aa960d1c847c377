"""Kernel writes that may never return, made by one detached child with a deadline for each. Knows no device.

A write under the device lock can wait for ever, and SIGKILL does not end it. The child that makes it is then left
behind, and another one takes the next write. It holds none of our locks: a stuck device must not keep the rest of the
desktop from coming back, and whoever comes next finds the device recorded or stuck itself.
"""

from __future__ import annotations

import json
import os
import select
import signal
import weakref

from vfioctl.errors import Stuck

CHUNK = 65536


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
    """The child, forked at the first write."""

    def __init__(self) -> None:
        self._child: _Child | None = None

    def swap(self, path: str, value: str, *, deadline: float, unless: tuple[str, ...] = ()) -> tuple[str, str]:
        """Write `value` to the kernel file `path`, unless it says one of `unless` already.

        Returns what it said before and after; with no `unless` it is not read, and both are "". Raises OSError as the
        kernel said it, and StuckWrite when the write does not return in `deadline` seconds: nothing may be written to
        that device then.
        """
        if self._child is None:
            self._child = _Child()
        answer = self._child.ask(json.dumps([path, value, unless]).encode() + b"\n", deadline)
        if answer is None:
            stuck, self._child = self._child, None
            raise StuckWrite(path, value, stuck.pid, deadline)
        errno, before, after = json.loads(answer)
        if errno:
            raise OSError(errno, os.strerror(errno), path)
        return before, after


class _Child:
    """One forked process with a pipe each way. It ends when its requests do."""

    def __init__(self) -> None:
        asked, self.asking = os.pipe2(os.O_CLOEXEC)
        self.answers, answering = os.pipe2(os.O_CLOEXEC)
        self.pid = os.fork()
        if self.pid == 0:
            _serve(asked, answering)
        os.close(asked)
        os.close(answering)
        self.poller = select.poll()
        self.poller.register(self.answers, select.POLLIN)
        weakref.finalize(self, _end, self.pid, self.asking, self.answers)

    def ask(self, request: bytes, deadline: float) -> bytes | None:
        """The answer, or None when none comes in time."""
        os.write(self.asking, request)
        if not self.poller.poll(max(0.0, deadline) * 1000):
            return None
        return os.read(self.answers, CHUNK)


def _end(pid: int, asking: int, answers: int) -> None:
    """Let the child see the end of its requests; one that is stuck is not waited for."""
    os.close(asking)
    os.close(answers)
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return  # a fork of ours inherited this object, and the child is its parent's


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


def _answer(path: str, value: str, unless: list[str]) -> bytes:
    try:
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
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read().strip()


def close_all_but(*keep: int) -> None:
    """Close every descriptor but `keep`; standard input, output and error go to /dev/null."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    kept = sorted({0, 1, 2, *(fd for fd in keep if fd >= 0)})
    for low, high in zip(kept, [*kept[1:], CHUNK], strict=True):
        os.closerange(low + 1, high)
