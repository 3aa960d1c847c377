"""The line to the outside: JSON lines on a virtio-serial port. Owns the port; decides nothing."""

from __future__ import annotations

import json
from typing import Any, BinaryIO


class Channel:
    """One end of it, inside."""

    def __init__(self, port: BinaryIO) -> None:
        self.port = port

    def tell(self, event: str, **fields: Any) -> None:
        self.port.write(json.dumps({"event": event, **fields}).encode() + b"\n")
        self.port.flush()

    def ask(self, question: str, **fields: Any) -> dict[str, Any]:
        """What the outside answers; RuntimeError when it cannot."""
        self.tell(question, **fields)
        answer: dict[str, Any] = json.loads(self.port.readline())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer
