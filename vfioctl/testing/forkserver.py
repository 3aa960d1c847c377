"""Starts the processes of simulated machines as forks of one process that has imported everything they need.

A start then takes a fifth of what a new interpreter takes. Each process that starts machines has a fork server of its
own, which ends with it. It must not serve a machine itself, nor start a thread: forks of it would lack the thread.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import Any, NoReturn

from vfioctl.testing.server import Server

REQUEST = 16384  # bytes; a path has 4,096 at most, each of them up to six in JSON
NUMBER = 4  # bytes of a pid


class Served:
    """The process that serves one machine. It is no child of who asked for it, and is known by its pidfd."""

    def __init__(self, pid: int, pidfd: int) -> None:
        self.pid = pid
        self._pidfd = pidfd

    def has_ended(self, seconds: float = 0.0) -> bool:
        """Whether it has ended; waits so long for it."""
        return bool(select.select([self._pidfd], [], [], seconds)[0])

    def kill(self) -> None:
        signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def forget(self) -> None:
        os.close(self._pidfd)


class ForkServer:
    """A running fork server, as its owner sees it. One that was killed is replaced."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._line = _launch()

    def start(self, root: str, parent: int, log: int) -> Served:
        """Start the machine below `root`, which ends with the other end of the socket `parent`. Raises OSError."""
        request = json.dumps({"root": root, "umask": _umask()}).encode()
        with self._lock:
            try:
                return self._ask(request, parent, log)
            except ConnectionError:
                self._line.close()
                self._line = _launch()
                return self._ask(request, parent, log)

    def _ask(self, request: bytes, parent: int, log: int) -> Served:
        socket.send_fds(self._line, [request], [parent, log])
        answer, fds, _, _ = socket.recv_fds(self._line, NUMBER, 1)
        if not fds:
            raise ConnectionResetError("the fork server of the simulated machines has ended")
        return Served(int.from_bytes(answer, "little"), fds[0])


def _launch() -> socket.socket:
    """Start one; it ends with the other end of the socket."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-I", "-m", "vfioctl.testing.forkserver", str(theirs.fileno())],
            pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL, cwd="/", start_new_session=True,
        )  # fmt: skip
    process.returncode = 0  # it ends when its owner does, who cannot wait for it then
    return ours


def fork_server() -> ForkServer:
    """The fork server of this process, as the user and in the mount namespace that it has now."""
    return _fork_server(os.getpid(), os.geteuid(), os.readlink("/proc/self/ns/mnt"))


@cache
def _fork_server(_pid: int, _uid: int, _namespace: str) -> ForkServer:
    return ForkServer()


def _umask() -> int:
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


class Forks:
    """The machines that run, by their pidfds."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._running: set[int] = set()
        self._poll = select.poll()
        self._poll.register(line, select.POLLIN)

    def serve(self) -> None:
        """Start machines until the other end of the line is closed, also while one is started."""
        with suppress(ConnectionError):
            self._serve()

    def _serve(self) -> None:
        """The same, and reap their processes. Raises ConnectionError where its owner has ended without an answer."""
        while True:
            ready = {number for number, _ in self._poll.poll()}
            for pidfd in ready & self._running:
                self._reap(pidfd)
            if self._line.fileno() in ready:
                request, fds, _, _ = socket.recv_fds(self._line, REQUEST, 2)
                if not request:
                    return
                self._start(request, *fds)

    def _reap(self, pidfd: int) -> None:
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
        self._poll.unregister(pidfd)
        self._running.remove(pidfd)
        os.close(pidfd)

    def _start(self, request: bytes, parent: int, log: int) -> None:
        pid = os.fork()
        if pid == 0:
            for other in (self._line.detach(), *self._running):
                os.close(other)
            _become_machine(json.loads(request), parent, log)
        os.close(parent)
        os.close(log)
        pidfd = os.pidfd_open(pid)
        self._running.add(pidfd)
        self._poll.register(pidfd, select.POLLIN)
        socket.send_fds(self._line, [pid.to_bytes(NUMBER, "little")], [pidfd])


def _become_machine(request: dict[str, Any], parent: int, log: int) -> NoReturn:
    """Serve the machine, and end: what goes wrong is said in its log."""
    status = 1
    try:
        os.setsid()
        os.umask(request["umask"])
        for descriptor in (1, 2):
            os.dup2(log, descriptor)
        os.close(log)
        Server(request["root"], parent).run()
        status = 0
    except BaseException:  # noqa: BLE001 # nothing may go on as a second fork server
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def main(argv: Sequence[str]) -> int:
    """`python -m vfioctl.testing.forkserver FD`: FD is a socket whose other end the owner keeps."""
    gc.freeze()  # a fork copies no page for what all of them have imported
    with socket.socket(fileno=int(argv[0])) as line:
        Forks(line).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
