"""The line to the outside: JSON lines on a virtio-serial port. Owns the port; decides nothing."""

from __future__ import annotations

import io
import json
from typing import Any


class Channel:
    """One end of it, inside."""

    def __init__(self, port: io.FileIO) -> None:
        self.port = port
        self.rest = b""

    def tell(self, event: str, **fields: Any) -> None:
        left = memoryview(json.dumps({"event": event, **fields}).encode() + b"\n")
        while left:
            left = left[self.port.write(left) or 0 :]

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
