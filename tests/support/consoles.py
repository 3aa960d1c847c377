"""A terminal of its own on which `vfioctl` of a lab runs, typed into and read as a person would."""

from __future__ import annotations

import os
import pty
import select
import termios
import time
from typing import Any

DEADLINE = 30.0


class Terminal:
    """`vfioctl ARGV` of `host` on a terminal; both ends of it stay open here, so its mode can be read at any time."""

    def __init__(self, host: Any, *argv: str) -> None:
        self.ours, self.theirs = pty.openpty()
        termios.tcsetwinsize(self.theirs, (41, 121))
        self.before = self.mode
        self.shown = b""
        self.process = host.started(*argv, stdin=self.theirs, out=self.theirs)

    @property
    def mode(self) -> list[Any]:
        return termios.tcgetattr(self.theirs)

    @property
    def is_raw(self) -> bool:
        return not self.mode[3] & (termios.ECHO | termios.ICANON | termios.ISIG)

    def type(self, keys: bytes) -> None:
        """What was shown before is forgotten."""
        self.shown = b""
        os.write(self.ours, keys)

    def reads(self, text: bytes) -> bool:
        """Whether `text` is shown in time."""
        end = time.monotonic() + DEADLINE
        while text not in self.shown and time.monotonic() < end:
            if select.select([self.ours], [], [], 0.1)[0]:
                self.shown += os.read(self.ours, 4096)
        return text in self.shown

    def ended(self) -> int:
        """Its exit status, and what it still shows is read."""
        status: int = self.process.wait(DEADLINE)
        while select.select([self.ours], [], [], 0.1)[0]:
            self.shown += os.read(self.ours, 4096)
        return status

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.ours)
        os.close(self.theirs)
