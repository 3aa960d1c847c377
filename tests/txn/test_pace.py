"""How far and how fast a long step is, in words, and what is not said while it is not known."""

from __future__ import annotations

import pytest

from vfioctl.txn.pace import Pace, how_far

MIB = 1 << 20


@pytest.mark.parametrize(("done", "total", "rate", "said"), [
    (52686120, 1572864000, 0.0, "50.2 MiB of 1.5 GiB (3 %)"),
    (52686120, 1572864000, 12.3 * MIB, "50.2 MiB of 1.5 GiB (3 %), 12.3 MiB/s, 2 min left"),
    (1000 * MIB, 1010 * MIB, 20.0 * MIB, "1000.0 MiB of 1010.0 MiB (99 %), 20.0 MiB/s, 1 s left"),
    (0, 48 << 40, 10 << 30, "0 B of 48.0 TiB (0 %), 10.0 GiB/s, 1 h 22 min left"),
    (MIB, MIB, MIB, "1.0 MiB of 1.0 MiB (100 %), 1.0 MiB/s"),
    (MIB, 0, 0.0, "1.0 MiB"), (MIB, 0, MIB, "1.0 MiB, 1.0 MiB/s"),
])  # fmt: skip
def test_bytes_have_a_unit_of_their_size_a_rate_and_the_time_that_is_left(
    done: int, total: int, rate: float, said: str
) -> None:
    assert how_far(done, total, "bytes", rate) == said


def test_what_is_counted_otherwise_is_said_as_it_is() -> None:
    assert how_far(2, 0, "requests", 1.0) == "2 requests"
    assert how_far(1, 4, "files", 1.0) == "1 of 4 (25 %) files"


def test_a_rate_is_of_the_last_seconds_and_not_known_at_first() -> None:
    pace = Pace()
    assert pace.seen("a", 0.0, 0) == 0
    assert pace.seen("a", 0.5, 100) == 0
    assert pace.seen("a", 2.0, 200) == 100
    rates = [pace.seen("a", 2.0 + second, 200 + second) for second in range(1, 20)]
    assert rates[-1] == 1


def test_another_step_and_one_that_begins_anew_have_a_pace_of_their_own() -> None:
    pace = Pace()
    pace.seen("a", 0.0, 0)
    pace.seen("a", 2.0, 200)
    assert pace.seen("b", 3.0, 300) == 0
    assert pace.seen("b", 5.0, 500) == 100
    assert pace.seen("b", 6.0, 0) == 0
