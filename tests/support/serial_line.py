"""The serial line of a running guest of a private libvirtd: what the guest has said, and what it is told."""

from __future__ import annotations

import os
import re
import tty
from contextlib import suppress
from typing import Any

from vfioctl.wait import until

DEADLINE = 60.0


class SerialLine:
    """Opened at once after the start: QEMU drops what a guest says while nobody listens."""

    def __init__(self, lab: Any, guest: str) -> None:
        device = lab.virsh("ttyconsole", guest).stdout.strip()
        self.said = ""
        self._line = os.open(device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self._line)

    def __enter__(self) -> SerialLine:
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._line)

    def wait(self, sort: str) -> str:
        """What the guest says after "guest: SORT", which is forgotten then with all before it."""
        pattern = re.compile(rf"^guest: {sort} ?(.*)$", re.MULTILINE)
        assert until(lambda: pattern.search(self._read()) is not None, DEADLINE), self.said
        found = pattern.search(self.said)
        assert found is not None
        self.said = self.said[found.end() :]
        return found[1].strip()

    def ask(self, command: str) -> str:
        """What comes of a command in the guest: one line of it."""
        os.write(self._line, f'printf "answer "; {command}\n'.encode())
        return self.wait("answer")

    def _read(self) -> str:
        with suppress(BlockingIOError):
            while part := os.read(self._line, 4096):
                self.said += part.decode(errors="replace")
        return self.said.rpartition("\n")[0] + "\n"
