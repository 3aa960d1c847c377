"""Many questions at once: every answer in its place, and the error of one is that of all."""

from __future__ import annotations

import threading

import pytest

from vfioctl.virt.together import AT_ONCE, together


def test_every_answer_is_in_its_place() -> None:
    assert together(lambda number: number * 2, range(100)) == list(range(0, 200, 2))


def test_nothing_is_asked_for_nothing() -> None:
    assert together(abs, ()) == []


def test_as_many_as_a_daemon_takes_are_asked_at_once() -> None:
    meeting = threading.Barrier(AT_ONCE, timeout=30)
    together(lambda _number: meeting.wait(), range(AT_ONCE))  # raises when it waits for one that is not asked


def test_the_error_of_one_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        together(lambda number: 1 // number, [1, 0, 2])
