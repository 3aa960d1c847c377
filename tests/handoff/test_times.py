"""Where the time of a hand-off went: the record has no hole that nobody explains."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hand_offs import BY_NAME, stage

from vfioctl.txn.history import Run, read_all


@pytest.fixture
def records(tmp_path) -> Iterator[dict[str, Run]]:
    """Of one start and stop, by event."""
    with stage(BY_NAME["nvidia-greeter"], tmp_path) as on:
        on.start()
        on.stop()
        yield {one.event: one for one in read_all(on.host.paths).runs}


def test_the_dead_man_is_armed_before_the_first_step_and_timed(records):
    first, *rest = records["prepare"].steps
    assert (first.id, first.phase) == ("dead-man", "own")
    assert rest
    assert not [step for step in rest if step.phase == "own"]


def test_the_start_of_the_detached_part_lies_between_the_hooks_steps_and_its_own(records):
    steps = records["release"].steps
    (number,) = [number for number, step in enumerate(steps) if step.phase == "own"]
    before, pause, after = steps[number - 1 : number + 2]
    assert pause.id == "detached-part"
    assert pause.started_offset == pytest.approx(before.started_offset + before.duration)
    assert pause.started_offset + pause.duration == pytest.approx(after.started_offset)
