"""SIGTERM and SIGHUP end a person's command as ^C does: what it has begun is undone. Knows nothing of operations."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

ENDING = (signal.SIGTERM, signal.SIGHUP)
BY_SIGNAL = 128  # and its number, as a shell says it


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP came. It comes once, and unlike ^C from somebody who may not be there for a second one."""


class Ending:
    """Which of them has come, if any."""

    def __init__(self) -> None:
        self.number = 0

    @contextmanager
    def heard(self) -> Iterator[Ending]:
        """Raise Terminated in the block at the first one. What is ignored already, as under nohup, stays ignored."""
        ours = [number for number in ENDING if signal.getsignal(number) is signal.SIG_DFL]
        try:
            for number in ours:
                signal.signal(number, self._end)
            yield self
        finally:
            for number in ours:
                signal.signal(number, signal.SIG_DFL)

    def _end(self, number: int, _frame: object) -> None:
        """A terminal that goes sends SIGHUP twice: its kernel and its shell do."""
        if not self.number:
            self.number = number
            raise Terminated

    def status(self, status: int) -> int:
        """The exit status of a command that would end with `status`."""
        return BY_SIGNAL + self.number if self.number else status
