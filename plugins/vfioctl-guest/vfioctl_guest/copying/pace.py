"""How far a copy is: its bytes, its checksum, and a line for who follows every few seconds. Touches no file."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

from vfioctl.plugin import as_size

EVERY = 5.0  # seconds


class Pace:
    """Counts what passes of `total` bytes; `tell` gets the lines."""

    def __init__(self, total: int, tell: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.total, self.done = total, 0
        self.hash = hashlib.sha256()
        self._tell, self._clock = tell, clock
        self._begun = self._told = clock()

    def passed(self, data: bytes) -> None:
        """Count `data`."""
        self.done += len(data)
        self.hash.update(data)
        now = self._clock()
        if now - self._told >= EVERY:
            self._told = now
            rate = self.done / (now - self._begun)
            left = max(0, self.total - self.done) / rate if rate else 0.0
            self._tell(f"{as_size(self.done)} of {as_size(self.total)}, {as_size(rate)}/s, {left:.0f} s left")

    @property
    def sha256(self) -> str:
        return self.hash.hexdigest()
