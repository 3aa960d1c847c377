"""A start whose card nobody has open: what it runs, and what it leaves running."""

from __future__ import annotations

import os

import pytest
from hand_offs import BY_NAME, stage

from vfioctl.wait import until

ANSWER_SECONDS = 10.0  # the dead-man's timer, and time to see it go


@pytest.fixture
def on(tmp_path):
    with stage(BY_NAME["generic"], tmp_path) as one:
        yield one


def test_logind_is_not_asked(on):
    assert on.prepare().status == 0
    programs = [os.path.basename(call["argv"][0]) for call in on.host.kernel.calls()]
    assert "systemd-run" in programs
    assert "loginctl" not in programs


def test_a_start_in_time_never_starts_the_dead_mans_process(on):
    on.start()
    assert any(name.endswith(".timer") for name in on.dead_man())
    pids: set[int] = set()

    def is_gone() -> bool:
        pids.update(on.dead_man().values())
        return not on.dead_man()

    assert until(is_gone, ANSWER_SECONDS)
    assert pids == {0}
