"""Settings of which a program makes a menu, through the matrix: killed at every boundary, and after a restart."""

from __future__ import annotations

import stat

import operation_host
import pytest
from generated_operation import BOUNDARIES, GeneratedHost

from vfioctl.testing.crash import crash_at
from vfioctl.txn.plan import Unfinished
from vfioctl.txn.runner import queue

pytestmark = pytest.mark.matrix

each_boundary = pytest.mark.parametrize("number", BOUNDARIES)
AFTER = {"srv/own": b"own\n".hex(), "srv/settings": b"new\n".hex(), "srv/menu": b"new\nown\n".hex()}


@pytest.fixture
def on(tmp_path):
    tmp_path.chmod(0o755)
    return GeneratedHost(tmp_path)


def recover(on):
    ended = on.recover_uninstalled()
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_without_a_crash_the_menu_says_what_the_settings_say(on):
    queue(on.node, on.plan())
    assert on.run() == 0
    assert on.files() == AFTER
    assert on.left() == ()


@each_boundary
@pytest.mark.parametrize("restarted", [False, True], ids=["at once", "after a restart"])
def test_settings_and_menu_are_as_they_were(on, number, restarted):
    operation_host.killed_at(on, number)
    if restarted:
        on.boot("second")
    recover(on)
    assert on.files() == on.before
    assert stat.S_IMODE((on.root / "srv/old").stat().st_mode) == 0o640
    assert on.left() == ()


@each_boundary
def test_what_is_to_be_finished_is_finished(on, number):
    operation_host.killed_at(on, number, Unfinished.FINISH)
    on.boot("second")
    recover(on)
    assert on.files() == AFTER
    assert on.left() == ()


@each_boundary
def test_a_recovery_that_is_killed_is_finished_by_the_next_one(on, number):
    operation_host.killed_at(on, len(BOUNDARIES) - 1)
    crash_at(on.root, number)
    on.command("recover")
    crash_at(on.root, None)
    recover(on)
    assert on.files() == on.before
    assert on.left() == ()


@pytest.mark.parametrize("number", [7, 8], ids=["begun", "done"])
def test_a_file_that_somebody_makes_in_the_place_of_one_that_was_set_aside_stays(on, number):
    operation_host.killed_at(on, number)
    (on.root / "srv/old").unlink(missing_ok=True)
    (on.root / "srv/old").write_text("theirs\n")
    recover(on)
    assert (on.root / "srv/old").read_text() == "theirs\n"
    assert (on.root / "srv/settings").read_text() == "settings\n"
    assert (on.root / "srv/menu").read_text() == "settings\ntheirs\n"
