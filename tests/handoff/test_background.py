"""A background part has nobody above it: whatever ends it must stand in our log."""

from __future__ import annotations

from pathlib import Path

from vfioctl.errors import Refused
from vfioctl.handoff import helper
from vfioctl.txn import background
from vfioctl.txn.background import Timer


def logged(here) -> str:
    return Path(here.paths.log, "vfioctl.log").read_text(encoding="utf-8")


def test_a_foreseen_failure_is_logged_and_gives_its_own_exit_status(here):
    refusal = Refused("guest.unfinished", "It cannot be.")

    def work(log):
        raise refusal

    assert background.run(here, work) == refusal.exit_status != 0
    assert "It cannot be." in logged(here)
    assert "Traceback" not in logged(here)


def test_a_bug_is_logged_with_its_traceback(here):
    assert background.run(here, lambda log: {}["absent"]) == 1
    assert "internal error: KeyError: 'absent'" in logged(here)
    assert "Traceback" in logged(here)


def test_a_command_line_that_vfioctl_would_not_write_is_refused(here):
    assert helper.main(here, ("deadman", "uuid", "win11", "-1", "x")) == 2
    assert "not by hand: deadman uuid win11 -1 x" in logged(here)


def test_a_timer_asks_systemd_for_the_file_only_where_its_path_is_plain():
    condition = "--property=ConditionPathExists=/run/a-b_1.c/armed"
    assert condition in Timer(5, "/run/a-b_1.c/armed").options()
    for path in ("/run/a b/armed", "/run/%n/armed", "/run/é/armed", '/run/"/armed'):
        assert not any("Condition" in option for option in Timer(5, path).options())
