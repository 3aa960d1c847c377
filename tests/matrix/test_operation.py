"""An operation that is no hand-off, through the matrix: killed at every boundary, with a restart, without plugins."""

from __future__ import annotations

import signal
from pathlib import Path

import operation_host
import pytest
from downloads import CONTENT, serving
from files_operation import BOUNDARIES, OURS, FilesHost

from vfioctl.testing.crash import crash_at, pause_at, paused
from vfioctl.txn.plan import Unfinished
from vfioctl.txn.runner import queue
from vfioctl.wait import until

pytestmark = pytest.mark.matrix

each_boundary = pytest.mark.parametrize("number", BOUNDARIES)


@pytest.fixture
def on(tmp_path):
    with serving() as served:
        tmp_path.chmod(0o755)
        yield FilesHost(tmp_path, served)


def killed_at(on, number, unfinished=Unfinished.UNDO):
    operation_host.killed_at(on, number, unfinished)
    assert len(on.story().records) == number


def recover(on):
    ended = on.command("recover")
    assert ended.returncode == 0, ended.stdout + ended.stderr


def recover_uninstalled(on):
    ended = on.recover_uninstalled()
    assert ended.returncode == 0, ended.stdout + ended.stderr


@each_boundary
@pytest.mark.parametrize("who", [recover, recover_uninstalled], ids=lambda who: who.__name__)
def test_what_was_made_is_removed_and_what_was_replaced_is_back(on, number, who):
    killed_at(on, number)
    who(on)
    assert on.files() == on.before
    assert on.left() == ()


@each_boundary
def test_after_a_restart_as_well(on, number):
    killed_at(on, number)
    on.boot("second")
    recover_uninstalled(on)
    assert on.files() == on.before
    assert on.left() == ()


@each_boundary
def test_what_is_to_be_finished_is_finished(on, number):
    killed_at(on, number, Unfinished.FINISH)
    on.boot("second")
    recover(on)
    assert on.made() == OURS
    assert on.left() == ()


@pytest.mark.parametrize("number", range(1, 10, 2))
def test_what_somebody_else_made_meanwhile_stays(on, number):
    """Killed after the intent of a step: what is there under its name by then is not its work."""
    killed_at(on, number)
    target = Path(on.root, ("srv/copied", "srv/written", "srv/replaced", "srv/noted", "srv/fetched")[number // 2])
    foreign = target.name not in ("replaced", "noted")
    target.write_text("precious") if foreign else None
    recover(on)
    kept = {f"srv/{target.name}": b"precious".hex()} if foreign else {}
    assert on.files() == on.before | kept


@each_boundary
def test_a_recovery_that_is_killed_is_finished_by_the_next_one(on, number):
    killed_at(on, len(BOUNDARIES) - 1)
    crash_at(on.root, number)
    on.command("recover")
    crash_at(on.root, None)
    recover(on)
    assert on.files() == on.before
    assert on.left() == ()


def test_two_at_once_are_one(on):
    queue(on.node, on.plan())
    pause_at(on.root, 2)
    first = on.start()
    until(lambda: paused(on.root), 20)
    assert on.run() != 0
    assert on.command("recover").returncode != 0
    first.send_signal(signal.SIGCONT)
    assert first.wait(30) == 0
    assert on.made() == OURS


def killed_while_it_downloads(on, unfinished):
    """Its process died in the middle of the download; the bytes that have come."""
    on.served.half_way()
    queue(on.node, on.plan(unfinished))
    child = on.start()
    assert on.served.reached.wait(20)
    assert until(lambda: sum(path.stat().st_size for path in parts(on)) >= len(CONTENT) // 2, 20)
    child.kill()
    child.wait()
    on.served.pause.set()
    (part,) = parts(on)
    return part.stat().st_size


def parts(on):
    return list(Path(on.root, "srv").glob(".fetched.*.part"))


def test_a_download_that_was_killed_in_the_middle_is_finished_from_there(on):
    done = killed_while_it_downloads(on, Unfinished.FINISH)
    recover(on)
    assert on.made() == OURS
    assert on.left() == ()
    assert Path(on.root, "srv/fetched").read_bytes() == CONTENT
    assert [asked.get("Range") for asked in on.served.asked] == [None, f"bytes={done}-"]
    assert on.served.sent[1] == len(CONTENT) - done


def test_one_that_is_undone_leaves_nothing_and_asks_nobody(on):
    killed_while_it_downloads(on, Unfinished.UNDO)
    recover_uninstalled(on)
    assert on.files() == on.before
    assert on.left() == ()
    assert len(on.served.asked) == 1
