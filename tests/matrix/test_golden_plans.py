"""The plan of each scenario, whole, as a user reads it: what a change of a plugin changes is seen here first."""

from __future__ import annotations

import os

import pytest
from hand_offs import GUEST, SCENARIOS, stage

# A snapshot's name carries the time: its plan is pinned by the plugin's own tests.
TIMELESS = [scenario for scenario in SCENARIOS if not scenario.with_disk]


@pytest.mark.parametrize("scenario", TIMELESS, ids=lambda scenario: scenario.name)
def test_the_plan_is_the_golden_one(scenario, tmp_path, golden):
    with stage(scenario, tmp_path) as on:
        file = os.path.join(on.root, "domain.xml")
        with open(file, "wb") as xml:
            xml.write(on.xml)
        ended = on.command("plan", GUEST, "--xml", file)
        assert ended.returncode == 0, ended.stderr
        golden(f"plan-{scenario.name}.txt", ended.stdout)
        os.unlink(file)
        assert on.differences() == ()
