"""A user's systemd manager that stops to answer while a start is under way: nobody waits for it without an end."""

from __future__ import annotations

import time

from hand_offs import BY_NAME, stage
from recoveries import as_before, recover
from walks import walk

DESKTOP = BY_NAME["nvidia-desktop"]
SECONDS = 75.0  # deadlines.prepare, and what the undo is given
FOR_GOOD = 1000  # calls


def test_a_user_manager_that_goes_deaf_in_mid_start_ends_the_start_and_recover_finishes_when_it_hears_again(tmp_path):
    first = next(stride for stride in walk(DESKTOP).there if stride.kind == "unit.stop")
    with stage(DESKTOP, tmp_path) as on:
        on.pause_at(first.intent)
        begun = time.monotonic()
        with on.paused_hook("prepare") as hook:
            on.host.kernel.hang_program("systemctl", arguments="--user *", count=FOR_GOOD)
        ended = hook.wait()
        assert time.monotonic() - begun < SECONDS
        assert ended.status == 1
        assert "did not end within 5 s and was killed. Finish it with: vfioctl recover" in ended.stderr
        on.host.kernel.release()
        recover(on)
        as_before(on)
