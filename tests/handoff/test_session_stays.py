"""A session that does not end: the start fails, nothing is said to be lost, and the display manager goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hand_offs import BY_NAME, Stage, stage
from recoveries import as_before


@pytest.fixture
def on(tmp_path: Path) -> Iterator[Stage]:
    with stage(BY_NAME["nvidia-desktop"], tmp_path) as here:
        here.host.kernel.fail_program("loginctl", 1, arguments="terminate-session *")
        yield here


def test_a_session_that_stays_is_not_said_to_be_lost(on: Stage) -> None:
    said = on.prepare()
    assert said.status != 0
    assert "Everything was put back." in said.stderr
    assert "the session that was ended is not" not in said.stderr
    as_before(on)


def test_the_display_manager_does_not_stand_still(on: Stage) -> None:
    on.prepare()
    assert [one["comm"] for one in on.host.kernel.processes() if one["paused"]] == []
