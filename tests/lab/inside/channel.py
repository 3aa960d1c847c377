"""The line to the outside: JSON lines on a virtio-serial port. Owns the port; decides nothing."""

from __future__ import annotations

import io
import json
import threading
from typing import Any

BEAT = 5.0  # seconds between two signs of life


class Channel:
    """One end of it, inside."""

    def __init__(self, port: io.FileIO) -> None:
        self.port = port
        self.rest = b""
        self.one_line = threading.RLock()
        self.quiet = threading.Event()

    def tell(self, event: str, **fields: Any) -> None:
        left = memoryview(json.dumps({"event": event, **fields}).encode() + b"\n")
        with self.one_line:
            while left:
                left = left[self.port.write(left) or 0 :]

    def beat(self) -> None:
        """Tell from now on, every few seconds, that the machine lives: one that hangs is seen at once."""
        threading.Thread(target=self._beat, daemon=True).start()

    def end(self, event: str, **fields: Any) -> None:
        """The last that is told before the outside listens to another boot, or to another order."""
        with self.one_line:
            self.quiet.set()
            self.tell(event, **fields)

    def _beat(self) -> None:
        while not self.quiet.wait(BEAT):
            with self.one_line:
                if not self.quiet.is_set():
                    self.tell("alive")

    def ask(self, question: str, **fields: Any) -> dict[str, Any]:
        """What the outside answers; RuntimeError when it cannot."""
        self.tell(question, **fields)
        while b"\n" not in self.rest:
            self.rest += self.port.read(65536) or b""
        text, _, self.rest = self.rest.partition(b"\n")
        answer: dict[str, Any] = json.loads(text)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer
