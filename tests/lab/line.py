"""JSON lines over a socket that QEMU connects to: the lab's own line, and QMP. Every read has a deadline."""

from __future__ import annotations

import json
import os
import socket
import time
from typing import Any

from tests.lab.errors import LabError


class Gone(LabError):
    """The other end has closed it: QEMU has ended."""


class Line:
    """One connection. QEMU connects, so that nothing that it says is lost and nobody waits for its socket."""

    def __init__(self, path: str) -> None:
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(1)
        self.path = path
        self.peer: socket.socket | None = None
        self.rest = b""

    def accept(self, deadline: float) -> None:
        """Wait for QEMU, at most `deadline` seconds."""
        self.listener.settimeout(deadline)
        try:
            self.peer, _ = self.listener.accept()
        except TimeoutError:
            raise LabError(f"QEMU did not open {os.path.basename(self.path)} within {deadline:.0f} s.") from None

    def send(self, message: dict[str, Any]) -> None:
        assert self.peer
        self.peer.settimeout(30)
        try:
            self.peer.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise Gone(f"QEMU does not take what it is sent: {error}") from error

    def receive(self, until: float) -> dict[str, Any]:
        """The next message; TimeoutError at the monotonic time `until`."""
        assert self.peer
        while b"\n" not in self.rest:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self.peer.settimeout(left)
            try:
                chunk = self.peer.recv(1 << 20)
            except ConnectionError:
                chunk = b""
            if not chunk:
                raise Gone("The machine has ended.")
            self.rest += chunk
        text, _, self.rest = self.rest.partition(b"\n")
        message: dict[str, Any] = json.loads(text)
        return message

    def close(self) -> None:
        if self.peer:
            self.peer.close()
        self.listener.close()
