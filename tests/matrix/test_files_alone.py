"""An operation that is no hand-off, killed at every record: what it made is gone, what others made is not.

Nobody knows the operation and no plugin is there: its plan says how it is undone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from building import IMAGE, MADE, NEW, OLD, Building
from downloads import serving
from step_builders import put

from vfioctl.testing.crash import boundaries, clear, crash_at
from vfioctl.txn.step import StepProposal

pytestmark = pytest.mark.matrix

RECORDS = 10  # an intent and a done of each step
FAILING = StepProposal("last", "command.run", {"argv": ["sh", "-c", "exit 1"]}, "a test", after=("fetch",))

each_boot = pytest.mark.parametrize("power_cut", [False, True], ids=["same boot", "power cut"])


@pytest.fixture
def server():
    with serving() as one:
        yield one


@pytest.fixture
def building(tmp_path):
    return Building.ground(str(tmp_path / "root"))


def run(building, action):
    """The operation in a process of its own; its exit status, negative for the signal that ended it."""
    argv = [sys.executable, "-m", "building", building.root, action]
    environ = {**os.environ, "PYTHONPATH": ":".join(filter(None, sys.path))}
    return subprocess.run(argv, env=environ, check=False, timeout=60).returncode


def killed_at(building, number, action="apply"):
    crash_at(building.root, number)
    status = run(building, action)
    clear(building.root)
    return status == -signal.SIGKILL


def test_what_it_made_stays_when_it_succeeds_and_its_content_goes(building, server):
    before = building.look()
    building.plan(server.url, server.sha256)
    assert run(building, "apply") == 0
    after = building.look()
    assert after.keys() - before.keys() == {"seed", "vars.copy", "image", "ran"}
    assert (after["seed"][0], after["old"][0], after["image"][0]) == (b"new", b"young", server.content)
    assert building.blobs() == building.journals() == []


def test_when_a_later_step_fails_everything_is_as_before(building, server):
    before = building.look()
    building.plan(server.url, server.sha256, FAILING)
    assert run(building, "apply") == 1
    assert building.look() == before
    assert building.blobs() == building.journals() == []


@each_boot
@pytest.mark.parametrize("number", range(1, RECORDS + 1))
def test_killed_at_any_record_it_is_undone_by_another_process(building, server, number, power_cut):
    before = building.look()
    building.plan(server.url, server.sha256)
    assert killed_at(building, number)
    if power_cut:
        building.cut_power()
    assert building.recover() == []
    assert building.look() == before
    assert building.blobs() == building.journals() == []


@each_boot
@pytest.mark.parametrize("number", range(1, RECORDS + 1))
def test_an_undo_that_is_killed_at_any_record_is_finished_by_the_next(building, server, number, power_cut):
    before = building.look()
    building.plan(server.url, server.sha256)
    assert killed_at(building, RECORDS)
    assert killed_at(building, number, "recover")
    if power_cut:
        building.cut_power()
    assert building.recover() == []
    assert building.look() == before
    assert building.blobs() == building.journals() == []


@each_boot
@pytest.mark.parametrize("step", MADE)
def test_what_somebody_else_makes_in_its_place_stays_and_is_named(building, server, step, power_cut):
    before = building.look()
    plan = building.plan(server.url, server.sha256)
    at = 1 + 2 * [one.id for one in plan.steps].index(step)
    assert killed_at(building, at)
    path = building.at(MADE[step])
    put(path, "somebody else's")
    if power_cut:
        building.cut_power()
    (left,) = building.recover()
    assert path in left
    after = building.look()
    assert after.pop(os.path.basename(path))[0] == b"somebody else's"
    before.pop(os.path.basename(path), None)
    assert after == before
    assert building.blobs() == building.journals() == []


@pytest.mark.parametrize("path", [NEW, IMAGE], ids=["written", "fetched"])
def test_what_is_there_at_its_turn_is_refused_and_everything_else_undone(building, server, path):
    before = building.look()
    building.plan(server.url, server.sha256)
    put(building.at(path), "somebody else's")
    before[os.path.basename(path)] = building.look()[os.path.basename(path)]
    assert run(building, "apply") == 1
    assert building.look() == before
    assert building.blobs() == building.journals() == []


def test_what_changed_since_the_plan_is_not_replaced(building, server):
    building.plan(server.url, server.sha256)
    put(building.at(OLD), "edited")
    before = building.look()
    assert run(building, "apply") == 1
    assert building.look() == before


def test_a_download_that_is_killed_half_way_leaves_nothing(building, server):
    before = building.look()
    building.plan(server.url, server.sha256)
    server.half_way()
    argv = [sys.executable, "-m", "building", building.root, "apply"]
    environ = {**os.environ, "PYTHONPATH": ":".join(filter(None, sys.path))}
    with subprocess.Popen(argv, env=environ) as child:
        assert server.reached.wait(20)
        os.kill(child.pid, signal.SIGKILL)
    server.pause.set()
    assert any(name.endswith(".part") for name in building.look())
    assert building.recover() == []
    assert building.look() == before
    assert building.blobs() == building.journals() == []


def test_a_download_tells_how_far_it_is_and_is_cancelled_half_way(building, server):
    before, told = building.look(), []
    building.plan(server.url, server.sha256)
    assert building.apply(stop=server.reached.is_set, observe=told.append) == "engine.interrupted"
    progress = [one for one in told if one.what == "progress"]
    assert {(one.step, one.total, one.unit) for one in progress} == {("fetch", len(server.content), "bytes")}
    assert building.look() == before
    assert building.blobs() == building.journals() == []


def test_its_records_are_as_many_as_the_matrix_has(building, server):
    building.plan(server.url, server.sha256)
    run(building, "apply")
    assert len(boundaries(building.root)) == RECORDS
