"""A hook that somebody has stopped keeps libvirt waiting for ever: `recover --abort` ends it, with everything back."""

from __future__ import annotations

import pytest
from hand_offs import GPU, GUEST, Stage

from vfioctl.kinds.common import driver_of


@pytest.mark.parametrize("boundary", [1, 4])
def test_a_hook_that_was_stopped_is_ended_with_its_work_undone(stage: Stage, boundary: int):
    stage.pause_at(boundary)
    with stage.paused_hook("prepare") as hook:
        ended = stage.command("recover", "--abort", GUEST)
        assert ended.returncode == 0, ended.stderr
    assert hook.wait().status > 0
    assert (driver_of(stage.host.paths, GPU), stage.story()) == ("igb", None)
    assert stage.differences() == ()
