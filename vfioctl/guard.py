"""One guarded call of a plugin's code: whatever it raises is caught and named, and a clock ends it."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType

from vfioctl.checking import TYPE_CHECKING
from vfioctl.frozen import frozen

if TYPE_CHECKING:
    from typing import Any, TypeVar

    T = TypeVar("T")

ALARM = 5.0  # seconds: a plugin that hangs in prepare would freeze libvirt
LEAST = 0.05  # a timer of none never rings
AGAIN = 0.5  # a plugin that catches BaseException is interrupted again


class Hung(BaseException):
    """Raised inside a plugin by the clock. A BaseException, so that `except Exception` does not keep it."""


@frozen
class Called:
    """What a guarded call gave: a value, or why there is none."""

    value: Any
    problem: str = ""
    error: BaseException | None = None


def call(work: Callable[[], T], *, alarm: float = ALARM) -> Called:
    """The value of `work`, or what it raised as one sentence, within `alarm` seconds."""
    try:
        with clock(alarm):
            return Called(work())
    except Hung as error:
        return Called(None, f"did not return within {alarm:g} s", error)
    except (Exception, SystemExit) as error:  # noqa: BLE001 -- a plugin may raise anything; it is named, not swallowed
        return Called(None, describe(error), error)


def describe(error: BaseException) -> str:
    """The error and the innermost line that raised it."""
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{said} ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})" if trace else said


@contextlib.contextmanager
def clock(seconds: float) -> Iterator[None]:
    """Raise Hung in the body after `seconds` of wall-clock time; only the main thread can be interrupted so.

    An outer timer and its handler are put back, with what is left of it.
    """
    started = time.monotonic()
    seconds = max(LEAST, seconds)
    try:
        handler = signal.signal(signal.SIGALRM, _ring)
    except ValueError:  # not the main thread
        yield
        return
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
    if 0 < left < seconds:
        signal.setitimer(signal.ITIMER_REAL, left, AGAIN)  # the outer one does not ring late
    try:
        yield
    finally:
        try:
            signal.setitimer(signal.ITIMER_REAL, 0)
        finally:  # it may ring just before that; a timer left on would kill the process under the handler put back
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, handler)
            if left:
                rest = max(0.001, left - (time.monotonic() - started))
                signal.setitimer(signal.ITIMER_REAL, rest, interval)


def _ring(_signal: int, _frame: FrameType | None) -> None:
    raise Hung
