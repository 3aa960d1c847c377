"""The engine on plain files: order, failure, undo in reverse, sharing, deadlines. No kernel is needed for these."""

from __future__ import annotations

import os
import resource

import pytest
from txn_builders import OTHER, UUID, plan, step

from vfioctl.errors import StepFailed
from vfioctl.files import read_text
from vfioctl.paths import Paths
from vfioctl.proc import Programs
from vfioctl.txn.clock import Deadline
from vfioctl.txn.engine import Engine, Interrupted, pending
from vfioctl.txn.journal import Journal, Standing, read_both
from vfioctl.txn.kind import kind
from vfioctl.txn.machine import Machine
from vfioctl.txn.plan import Action, Part
from vfioctl.txn.resources import Ledger
from vfioctl.txn.step import Lifetime, Phase, Scope


@pytest.fixture
def bench(tmp_path):
    return Bench(Paths(str(tmp_path)))


@pytest.fixture
def full_disk():
    """From the call on, no file grows beyond the size of the given one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda path: resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(path), before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


class Bench:
    """A host of a few plain attribute files, and an engine on it."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self.ledger = Ledger(paths)
        os.makedirs(paths.sys)

    def attributes(self, **values: str) -> None:
        for name, value in values.items():
            with open(os.path.join(self.paths.sys, name), "w", encoding="utf-8") as file:
                file.write(value)

    def program(self, name: str, script: str) -> None:
        path = self.paths.at("usr/bin", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\n{script}\n")
        os.chmod(path, 0o755)

    def value(self, name: str) -> str:
        with open(os.path.join(self.paths.sys, name), encoding="utf-8") as file:
            return file.read().strip()

    def engine(self, made, **fields):
        journal = Journal(self.paths, made.key)
        journal.begin(made, "boot-1")
        for item in made.steps:
            self.ledger.join(item, made.key, made.subject)
        return Engine(Machine(self.paths, Programs(self.paths.programs)), journal, self.ledger, **fields)

    def apply(self, made, **fields):
        self.ran = self.engine(made, **fields)
        return self.ran.apply(made, deadline=Deadline(5))

    def undo(self, made):
        begun = read_both(self.paths, made.key).begun(Action.APPLY)
        return self.ran.undo(made, begun, made.key, deadline=Deadline(5))


def test_steps_run_in_order_and_each_leaves_intent_and_done(bench):
    bench.attributes(a="0", b="0")
    made = plan(step("a"), step("b"))
    assert bench.apply(made) is None
    assert (bench.value("a"), bench.value("b")) == ("1", "1")
    assert [(r.what, r.step) for r in read_both(bench.paths, UUID).records] == [
        ("intent", "a"), ("done", "a"), ("intent", "b"), ("done", "b"),
    ]  # fmt: skip


def test_the_first_failure_ends_it_and_names_the_step(bench):
    bench.attributes(a="0", c="0")
    failure = bench.apply(plan(step("a"), step("b"), step("c")))
    assert failure.step.id == "b"
    assert (bench.value("a"), bench.value("c")) == ("1", "0")


def test_undo_puts_back_what_was_begun_in_reverse(bench):
    bench.attributes(a="0", b="0")
    made = plan(step("a"), step("b"), step("missing"))
    bench.apply(made)
    bench.undo(made)
    assert (bench.value("a"), bench.value("b")) == ("0", "0")
    assert [time.id for time in bench.ran.watch.times if time.action == "undo"] == ["missing", "b", "a"]


def test_an_undo_that_fails_is_collected_and_the_rest_goes_on(bench):
    bench.attributes(a="0")
    bench.program("works", "exit 0")
    bench.program("fails", "echo no >&2; exit 3")
    command = {"argv": ["works"], "undo_argv": ["fails"]}
    made = plan(step("a"), step("b", kind="command.run", params=command, resource="command:b", baseline={}))
    assert bench.apply(made) is None
    failures = bench.undo(made)
    assert [failure.step.id for failure in failures] == ["b"]
    assert "fails ended with status 3: no" in failures[0].message
    assert bench.value("a") == "0"


def test_a_best_effort_step_that_fails_is_a_warning(bench):
    bench.attributes(a="0")
    assert bench.apply(plan(step("missing", best_effort=True), step("a"))) is None
    assert [warning.step.id for warning in bench.ran.warnings] == ["missing"]
    assert bench.value("a") == "1"


def test_the_whole_deadline_ends_it_between_two_steps(bench):
    bench.attributes(a="0")
    made = plan(step("a"))
    failure = bench.engine(made).apply(made, deadline=Deadline(0))
    assert failure.code == "engine.deadline"
    assert bench.value("a") == "0"


def test_a_request_to_stop_finishes_the_running_step(bench):
    bench.attributes(a="0", b="0")
    failure = bench.apply(plan(step("a"), step("b")), stop=lambda: bench.value("a") == "1")
    assert isinstance(failure.error, Interrupted)
    assert (bench.value("a"), bench.value("b")) == ("1", "0")


def test_a_request_to_stop_during_the_last_step_counts_too(bench):
    bench.attributes(a="0")
    failure = bench.apply(plan(step("a")), stop=lambda: bench.value("a") == "1")
    assert isinstance(failure.error, Interrupted)


def test_a_full_disk_keeps_no_undo_from_its_work(bench, full_disk):
    bench.attributes(a="0")
    made = plan(step("a"), step("b"))
    assert bench.apply(made).step.id == "b"
    full_disk(bench.paths.boot_journal(made.key))
    bench.ran.journal.standing(Standing.UNDOING)
    assert bench.ran.undo(made, ("a",), made.key, deadline=Deadline(5)) == ()
    assert bench.value("a") == "0"
    assert bench.ran.journal.lost


def test_a_resource_that_another_guest_needs_is_left_and_the_last_one_restores_it(bench):
    bench.attributes(a="0")
    one, two = plan(step("a")), plan(step("a"), uuid=OTHER, guest="two")
    first = bench.engine(one)
    first.apply(one, deadline=Deadline(5))
    second = bench.engine(two)
    second.apply(two, deadline=Deadline(5))
    first.give_back(one, one.way_back, UUID, deadline=Deadline(5))
    assert bench.value("a") == "1"
    assert "two" in first.watch.times[-1].outcome
    second.give_back(two, two.way_back, OTHER, deadline=Deadline(5))
    assert bench.value("a") == "0"


def test_a_transactions_effect_is_undone_by_a_failure_and_kept_by_a_return(bench):
    bench.attributes(a="0")
    made = plan(step("a", scope=Scope.TRANSACTION), step("missing"))
    bench.apply(made)
    bench.undo(made)
    assert bench.value("a") == "0"
    assert made.way_back == tuple(item for item in made.way_back if item.step != "a")


def test_pending_leaves_out_what_is_done_already():
    made = plan(step("dm", phase=Phase.BEFORE), step("a"), step("b"), returns=(step("r", phase=Phase.RETURN),))
    left = pending(made, frozenset({"b"}), frozenset(), None)
    assert [item.step for item in left] == ["a", "dm", "r"]
    assert [item.step for item in pending(made, frozenset(), frozenset(), Part.HOOK)] == ["b", "a"]
    assert [item.step for item in pending(made, frozenset(), frozenset({"r"}), Part.DETACHED)] == ["dm"]


def test_what_is_already_as_it_was_is_not_touched_by_an_undo(bench):
    bench.attributes(a="0")
    made = plan(step("a"))
    bench.apply(made)
    bench.attributes(a="0")
    bench.undo(made)
    assert bench.ran.watch.times[-1].outcome == "already as it was"


# Steps that change nothing, and what was there before them


COMMAND = {"argv": ["on"], "undo_argv": ["off"]}


def command(**fields):
    """A step whose effect only the journal tells."""
    return step("c", kind="command.run", params=COMMAND, resource="command:on", baseline={}, **fields)


def said(bench):
    return (read_text(bench.paths.at("said")) or "").split()


@pytest.fixture
def words(bench):
    """Two programs that leave a word each."""
    for name in ("on", "off"):
        bench.program(name, f"echo {name} >>{bench.paths.at('said')}")
    return bench


def records(bench):
    return [(record.what, record.step) for record in read_both(bench.paths, UUID).records]


def test_a_command_that_has_run_is_undone(words):
    made = plan(command(), step("missing"))
    words.apply(made)
    words.undo(made)
    assert said(words) == ["on", "off"]


def test_a_command_that_failed_may_have_done_something_and_is_undone(words):
    words.program("on", "exit 1")
    made = plan(command())
    words.apply(made)
    words.undo(made)
    assert said(words) == ["off"]


def test_a_command_that_could_not_start_is_refused_and_not_undone(words):
    os.unlink(words.paths.at("usr/bin/on"))
    made = plan(command())
    assert words.apply(made).code == "program.missing"
    assert records(words) == [("intent", "c"), ("refused", "c")]
    assert words.undo(made) == ()
    assert said(words) == []


def test_a_guard_that_says_no_is_a_refusal(bench, monkeypatch):
    bench.attributes(a="0")
    made = plan(step("a"))
    form = kind("sysfs.write")

    def no(self, step, machine):
        raise StepFailed("test.no", "Not now.")

    monkeypatch.setattr(type(form), "guard", no)
    assert bench.apply(made).code == "test.no"
    bench.attributes(a="1")  # somebody else's wish
    bench.undo(made)
    assert bench.value("a") == "1"


def test_a_refusal_that_cannot_be_written_is_known_to_the_engine_all_the_same(words, full_disk):
    os.unlink(words.paths.at("usr/bin/on"))
    made, real = plan(command()), Journal.intent

    def last_words(journal, action, item):
        real(journal, action, item)
        full_disk(words.paths.boot_journal(made.key))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Journal, "intent", last_words)
        assert words.apply(made).code == "program.missing"
    words.ran.journal.standing(Standing.UNDOING)
    words.undo(made)
    assert words.ran.journal.lost
    assert said(words) == []


@pytest.fixture
def copying(bench):
    """A plan that copies one file, and where the copy goes."""
    source, dest = bench.paths.at("a"), bench.paths.at("b")
    with open(source, "w", encoding="utf-8") as file:
        file.write("variables")
    params, baseline = {"source": "/a", "dest": "/b"}, {"exists": False, "operation": "3f9ac2d1"}
    copy = step("copy", kind="file.copy", params=params, resource="file:/b", baseline=baseline,
                lifetime=Lifetime.DISK, scope=Scope.TRANSACTION)  # fmt: skip
    return plan(copy, step("missing")), dest


def test_what_a_step_made_is_gone_after_the_undo(bench, copying):
    made, dest = copying
    bench.apply(made)
    assert os.path.exists(dest)
    assert bench.undo(made) == ()
    assert not os.path.exists(dest)
    assert bench.ran.left == []


def test_what_is_foreign_is_not_even_handed_to_the_undo(bench, copying, monkeypatch):
    made, dest = copying
    bench.ran = bench.engine(made)
    bench.ran.journal.intent(Action.APPLY, made.steps[0])
    with open(dest, "w", encoding="utf-8") as file:
        file.write("precious")
    monkeypatch.setattr(type(kind("file.copy")), "undo", lambda *_: os.unlink(dest))
    assert bench.undo(made) == ()
    assert os.path.exists(dest)


@pytest.mark.parametrize("when", ["before the step", "after it"])
def test_what_somebody_else_made_stays_and_is_named_where_the_step_was_begun(bench, copying, when):
    made, dest = copying
    engine = bench.ran = bench.engine(made)
    if when == "after it":
        engine.apply(made, deadline=Deadline(5))
        os.unlink(dest)
    else:
        engine.journal.intent(Action.APPLY, made.steps[0])  # and then it was killed
    with open(dest, "w", encoding="utf-8") as file:
        file.write("precious")
    assert bench.undo(made) == ()
    with open(dest, encoding="utf-8") as file:
        assert file.read() == "precious"
    (left,) = engine.left
    assert f"rm -- {dest}" in left
    assert left in [time.outcome for time in engine.watch.times]
