"""One transaction on plain files: begun durably, gone on with by whoever reopens it, over when it is forgotten."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pytest
from txn_builders import OTHER, UUID, plan, step

from vfioctl.errors import Refused
from vfioctl.files import read_text
from vfioctl.paths import Paths
from vfioctl.proc import Programs
from vfioctl.txn.clock import Deadline
from vfioctl.txn.journal import Standing, read_both
from vfioctl.txn.machine import Machine
from vfioctl.txn.plan import Action
from vfioctl.txn.resources import Ledger
from vfioctl.txn.transaction import Transaction

FIRST, SECOND = step("first"), step("second")
SECONDS = 10.0


@dataclass
class Bench:
    """A host of two attribute files."""

    paths: Paths

    def transaction(self, *steps, uuid=UUID) -> Transaction:
        machine = Machine(self.paths, Programs(self.paths.programs))
        return Transaction(machine, plan(*(steps or (FIRST, SECOND)), uuid=uuid))

    def values(self) -> list[str | None]:
        return [read_text(self.paths.at("sys", name)) for name in ("first", "second")]

    def journals(self) -> list[str]:
        paths = self.paths.boot_journal(UUID), self.paths.disk_journal(UUID)
        return [path for path in paths if os.path.exists(path)]


@pytest.fixture
def bench(tmp_path):
    os.mkdir(tmp_path / "sys")
    for name in ("first", "second"):
        (tmp_path / "sys" / name).write_text("0")
    return Bench(Paths(str(tmp_path)))


def test_what_is_begun_stands_in_both_journals_and_in_the_ledger_before_anything_is_done(bench):
    with bench.transaction() as transaction:
        transaction.begin("boot")
        assert len(bench.journals()) == 2
        assert all(bench.transaction().ledger.is_held(one, UUID) for one in (FIRST, SECOND))
        assert bench.values() == ["0", "0"]


def test_the_marks_of_the_operation_come_last_of_the_commit(bench):
    seen = []
    with bench.transaction() as transaction:
        transaction.begin("boot", lambda: seen.append(read_both(bench.paths, UUID).standing))
    assert seen == [Standing.APPLYING]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), Refused("resource.conflict", "held")])
def test_of_a_commit_that_fails_nothing_stays(bench, error):
    taken = []

    def full() -> None:
        raise error

    with bench.transaction() as transaction, pytest.raises(Refused) as caught:
        transaction.begin("boot", full, lambda: taken.append("marks"))
    assert caught.value.code in ("journal.unwritable", "resource.conflict")
    assert (bench.journals(), Ledger(bench.paths).entries(), taken) == ([], (), ["marks"])


def test_what_another_one_holds_in_another_way_keeps_it_from_beginning(bench):
    with bench.transaction(uuid=OTHER) as other:
        other.begin("boot")
    differently = step("first", params={"path": "/sys/first", "value": "2"})
    with bench.transaction(differently) as transaction, pytest.raises(Refused, match="is held by"):
        transaction.begin("boot")
    assert bench.journals() == []


def test_a_plan_that_would_not_be_obeyed_later_is_not_written(bench):
    with bench.transaction(step("first", deadline="soon")) as transaction, pytest.raises(Refused) as caught:
        transaction.begin("boot")
    assert caught.value.code == "plan.malformed"
    assert bench.journals() == []


def test_it_holds_what_it_has_done_and_another_process_brings_it_back(bench):
    with bench.transaction() as transaction:
        transaction.begin("boot")
        assert transaction.apply(deadline=Deadline(SECONDS)) is None
        transaction.hold()
    assert bench.values() == ["1", "1"]
    story = read_both(bench.paths, UUID)
    assert story.standing is Standing.HELD
    with bench.transaction().reopen(Standing.RETURNING) as later:
        assert later.give_back(story.plan.way_back, deadline=Deadline(SECONDS)) == ()
        later.forget()
    assert (bench.values(), bench.journals(), Ledger(bench.paths).entries()) == (["0", "0"], [], ())


def test_what_was_begun_before_a_failure_is_undone_and_the_rest_let_go(bench):
    os.remove(bench.paths.at("sys/second"))
    with bench.transaction() as transaction:
        transaction.begin("boot")
        failure = transaction.apply(deadline=Deadline(SECONDS))
        assert failure.step == SECOND
        begun = read_both(bench.paths, UUID).begun(Action.APPLY)
        transaction.journal.standing(Standing.UNDOING)
        assert transaction.undo(begun, deadline=Deadline(SECONDS)) == ()
    assert bench.values() == ["0", None]
    assert Ledger(bench.paths).entries() == ()


def test_what_is_left_open_stays_whole(bench):
    with bench.transaction() as transaction:
        transaction.begin("boot")
        transaction.apply(deadline=Deadline(SECONDS))
    assert len(bench.journals()) == 2
    assert read_both(bench.paths, UUID).begun(Action.APPLY) == ("first", "second")
