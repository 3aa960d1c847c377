"""An operation on disk images, killed at every boundary, with a restart, without plugins; by bytes."""

from __future__ import annotations

import pytest
from disk_images import MISSING, content, fill
from disks_operation import BOUNDARIES, DELETION, MADE, STEPS, DisksHost
from operation_host import killed_at

from vfioctl.testing.crash import crash_at
from vfioctl.txn.plan import Unfinished

pytestmark = [
    pytest.mark.matrix, pytest.mark.skipif(bool(MISSING), reason=f"missing: {', '.join(MISSING)}"),
]  # fmt: skip
each_boundary = pytest.mark.parametrize("number", BOUNDARIES)


@pytest.fixture
def on(tmp_path):
    tmp_path.chmod(0o755)
    return DisksHost(tmp_path)


def recover(on):
    ended = on.command("recover")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def recover_uninstalled(on):
    ended = on.recover_uninstalled()
    assert ended.returncode == 0, ended.stdout + ended.stderr


def but_old(files, number):
    """`files`, without the one that was removed for good when the process died."""
    return {name: data for name, data in files.items() if number <= DELETION or name != "srv/old.qcow2"}


@each_boundary
@pytest.mark.parametrize("restarted", [False, True], ids=["at once", "after a restart"])
def test_what_was_made_is_removed_and_every_byte_of_the_rest_is_there(on, number, restarted):
    killed_at(on, number)
    if restarted:
        on.boot("second")
    recover_uninstalled(on)
    assert on.files() == but_old(on.before, number)
    assert on.left() == ()


@each_boundary
def test_what_is_to_be_finished_is_finished(on, number):
    killed_at(on, number, Unfinished.FINISH)
    on.boot("second")
    recover(on)
    assert on.made() == on.ours
    assert {name: data for name, data in on.files().items() if name not in on.ours} == but_old(on.before, 99)
    assert {content(on.root / MADE[name]) for name in ("overlay", "merge")} == {on.seen}
    assert on.left() == ()


@pytest.mark.parametrize("step", tuple(MADE))
def test_what_somebody_else_made_meanwhile_stays(on, step):
    """Killed after the intent of a step: what is there under its name by then is not its work."""
    killed_at(on, 2 * STEPS.index(step) + 1)
    (on.root / MADE[step]).write_text("precious")
    said = recover(on)
    assert on.files() == on.before | {MADE[step]: b"precious".hex()}
    assert f"{MADE[step]} was made by somebody else and stays" in said


@pytest.mark.parametrize("step", ["overlay", "merge"])
def test_what_a_guest_wrote_after_the_crash_is_not_lost(on, step):
    killed_at(on, DELETION)
    fill(on.root / MADE[step], 0x77, 7)
    seen = content(on.root / MADE[step])
    said = recover(on)
    assert on.made() == (MADE[step],)
    assert content(on.root / MADE[step]) == seen
    assert "written to since" in said


@each_boundary
def test_a_recovery_that_is_killed_is_finished_by_the_next_one(on, number):
    killed_at(on, DELETION)
    crash_at(on.root, number)
    on.command("recover")
    crash_at(on.root, None)
    recover(on)
    assert on.files() == on.before
    assert on.left() == ()
