"""QEMU's monitor: commands, hot-plug, pictures, saving the machine. Knows nothing of what runs inside."""

from __future__ import annotations

import time
from typing import Any

from tests.lab.errors import LabError
from tests.lab.line import Gone, Line

ANSWER = 60.0


class Qmp:
    """One connection to the monitor."""

    def __init__(self, path: str) -> None:
        self.line = Line(path)

    def open(self, deadline: float) -> None:
        self.line.accept(deadline)
        self.line.receive(time.monotonic() + deadline)  # its greeting
        self.execute("qmp_capabilities")

    def execute(self, command: str, **arguments: Any) -> Any:
        self.line.send({"execute": command, "arguments": arguments})
        until = time.monotonic() + ANSWER
        while True:
            try:
                message = self.line.receive(until)
            except TimeoutError:
                raise LabError(f"QEMU did not answer {command} within {ANSWER:.0f} s.") from None
            if "return" in message:
                return message["return"]
            if "error" in message:
                raise LabError(f"QEMU refused {command}: {message['error']['desc']}")

    def picture(self, path: str) -> None:
        """What the card shows, as a PPM file."""
        self.execute("screendump", filename=path, device="gpu0", head=0)

    def registers(self) -> str:
        """Where each of its processors is: a hang of the emulator and one of its kernel look different there."""
        return str(self.execute("human-monitor-command", **{"command-line": "info registers -a"}))

    def save(self, path: str, deadline: float) -> None:
        """Stop the machine and write its state, compressed."""
        self.execute("stop")
        self.execute("migrate-set-parameters", **{"max-bandwidth": 1 << 33})
        self.execute("migrate", uri=f"exec:zstd -q -1 -o {path}")
        until = time.monotonic() + deadline
        while (status := self.execute("query-migrate")["status"]) != "completed":
            if status in {"failed", "cancelled"} or time.monotonic() > until:
                raise LabError(f"The machine could not be saved: {status}.")
            time.sleep(0.1)

    def go_on(self, deadline: float) -> None:
        """Let a machine run that is being loaded from its state, as soon as it is there."""
        until = time.monotonic() + deadline
        while self.execute("query-status")["status"] == "inmigrate":
            if time.monotonic() > until:
                raise LabError(f"The saved machine was not loaded within {deadline:.0f} s.")
            time.sleep(0.05)
        self.execute("cont")

    def quit(self) -> None:
        """The power is cut."""
        try:
            self.execute("quit")
        except Gone:
            return
