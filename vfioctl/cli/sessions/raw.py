"""A terminal that gives every key as it is typed, and is as before in the end, whatever happens; signals as a flag."""

from __future__ import annotations

import os
import signal
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)


@contextmanager
def raw(fd: int) -> Iterator[None]:
    """The terminal `fd` without echo, lines and signals for the block; what is no terminal is left as it is."""
    if not os.isatty(fd):
        yield
        return
    before = termios.tcgetattr(fd)
    try:
        tty.setraw(fd, termios.TCSANOW)
        yield
    finally:
        with suppress(termios.error):  # a terminal that has gone has no mode either
            termios.tcsetattr(fd, termios.TCSANOW, before)  # not TCSADRAIN: one that was stopped never drains


class Signals:
    """Which signal asked to end, 0 for none, instead of the end of the process."""

    def __init__(self) -> None:
        self.number = 0

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.number = self.number or number

    @contextmanager
    def noted(self) -> Iterator[Signals]:
        """For the block; what is ignored already, as under nohup, stays ignored."""
        before = {number: signal.getsignal(number) for number in ENDING}
        try:
            for number, handler in before.items():
                if handler is not signal.SIG_IGN:
                    signal.signal(number, self._note)
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
