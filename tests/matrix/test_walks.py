"""The written steps of each scenario are the planned ones, and each of their boundaries is a line of the journal."""

from __future__ import annotations

import pytest
from hand_offs import SCENARIOS, stage
from walks import walk, written


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_the_written_steps_are_the_planned_ones_and_each_passes_two_boundaries(scenario, tmp_path, golden):
    with stage(scenario, tmp_path) as on:
        on.crash_at(None)
        assert on.start().status == 0
        story = on.story()
        golden(f"{scenario.name}.txt", written(story.plan))
        assert len(on.boundaries()) == len(story.records) == 2 * len(walk(scenario).there) > 0
        on.crash_at(None)
        on.stop()
        assert len(on.boundaries()) == 2 * len(walk(scenario).back) > 0
