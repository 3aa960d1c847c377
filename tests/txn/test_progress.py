"""Long steps say how far they are, and stop at a checkpoint: cancelled, out of time, or without progress."""

from __future__ import annotations

import json
import os

import pytest
from txn_builders import UUID, plan, step

from vfioctl import files
from vfioctl.paths import Paths
from vfioctl.proc import Programs
from vfioctl.txn import engine
from vfioctl.txn.clock import Deadline
from vfioctl.txn.journal import PROGRESS, Journal
from vfioctl.txn.kind import kind
from vfioctl.txn.machine import Machine
from vfioctl.txn.resources import Ledger
from vfioctl.wait import until


class Long:
    """A kind whose apply goes through `said` = (done, total), with a checkpoint after each; it changes nothing."""

    def __init__(self, said, between=lambda: None):
        self.said, self.between = said, between

    def __getattr__(self, name):
        return getattr(kind("wait.until"), name)

    def guard(self, step, machine):
        pass

    def apply(self, step, machine):
        for done, total in self.said:
            machine.progress(done, total, "bytes")
            machine.checkpoint()
            self.between()


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run one step of the kind `long`; gives the failure and the moments that were seen."""
    paths = Paths(str(tmp_path))
    os.makedirs(paths.proc)

    def run(long, stop=bool, **fields):
        monkeypatch.setattr(engine, "kind", lambda _name: long)
        seen = []
        journal = Journal(paths, UUID, observe=seen.append)
        made = plan(step("fetch", **fields))
        journal.begin(made, "boot-1")
        ran = engine.Engine(Machine(paths, Programs(paths.programs)), journal, Ledger(paths), stop=stop)
        return ran.apply(made, deadline=Deadline(5)), seen, paths

    return run


def test_progress_is_told_between_its_beginning_and_its_end_and_the_last_word_always(run):
    failure, seen, _ = run(Long([(n, 100) for n in range(101)]))
    assert failure is None
    assert [moment.what for moment in seen] == ["intent", "progress", "progress", "done"]
    assert (seen[2].done, seen[2].total, seen[2].unit) == (100, 100, "bytes")


def test_a_second_process_reads_how_far_it_is_and_the_journal_keeps_nothing_of_it(run):
    _, _, paths = run(Long([(10, 0), (10, 10)]))
    with open(f"{paths.boot_journal(UUID)}{PROGRESS}", encoding="utf-8") as file:
        assert json.load(file)["done"] == 10
    with open(paths.boot_journal(UUID), encoding="utf-8") as file:
        assert "progress" not in file.read()


def test_what_is_asked_to_stop_stops_at_its_next_checkpoint(run):
    asked = []
    failure, seen, _ = run(Long([(1, 9), (2, 9), (3, 9)], lambda: asked.append(1)), stop=lambda: len(asked) == 2)
    assert failure.code == "engine.interrupted"
    assert [moment.what for moment in seen] == ["intent", "progress"]


@pytest.mark.parametrize(("limit", "code"), [("deadline", "step.deadline"), ("stall", "step.stalled")])
def test_a_step_out_of_time_or_without_progress_is_given_up(run, limit, code):
    failure, _, _ = run(Long([(1, 9), (1, 9)], lambda: until(lambda: False, 0.02)), **{limit: 0.01})
    assert failure.code == code


def test_progress_keeps_a_step_from_being_stalled(run):
    failure, _, _ = run(Long([(n, 9) for n in range(10)], lambda: until(lambda: False, 0.02)), stall=0.1)
    assert failure is None


def test_what_a_killed_writer_did_not_put_in_place_goes_with_the_journal(tmp_path):
    journal = Journal(Paths(str(tmp_path)), UUID)
    journal.begin(plan(step("fetch")), "boot-1")
    other = os.path.join(os.path.dirname(journal.boot_path), ".22222222-0000.jsonl.7.new")
    left = [*(_left_by_a_killed_writer(path) for path in (journal.boot_path + PROGRESS, journal.disk_path)), other]
    for path in left:
        with open(path, "w", encoding="ascii") as file:
            file.write("{")
    journal.end()
    assert [path for path in left if os.path.exists(path)] == [other]


def _left_by_a_killed_writer(path):
    if (pid := os.fork()) == 0:
        os.replace = lambda *_: os._exit(0)
        files.atomic_write(path, "{")
    os.waitpid(pid, 0)
    (found,) = (name for name in os.listdir(os.path.dirname(path)) if name.endswith(f".{pid}.new"))
    return os.path.join(os.path.dirname(path), found)
