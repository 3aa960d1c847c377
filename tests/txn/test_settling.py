"""An operation without its process is ended in the way and the words of its sort, or as its plan says."""

from __future__ import annotations

import os
import sys
from types import ModuleType

import pytest
from txn_builders import OTHER, UUID, plan, step

from vfioctl import operations
from vfioctl.compose import compose
from vfioctl.errors import Busy, Refused, VfioctlError
from vfioctl.files import Lock
from vfioctl.handoff import discard
from vfioctl.txn import recover
from vfioctl.txn.history import read_all
from vfioctl.txn.journal import Standing, read_both
from vfioctl.txn.plan import Action, Plan, Unfinished
from vfioctl.txn.resources import domain
from vfioctl.txn.settling import Settling

SORT = "test"
DEFAULT = "test a thing was interrupted; it was undone."


@pytest.fixture
def here(tmp_path):
    """A host with one attribute, which the operation has set."""
    (tmp_path / "proc/sys/kernel/random").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/random/boot_id").write_text("boot-1\n")
    (tmp_path / "sys").mkdir()
    (tmp_path / "sys/a").write_text("1\n")
    return compose(str(tmp_path))


@pytest.fixture
def installed(monkeypatch):
    """Installs the sort of the operation with these functions."""

    def install(**functions):
        module = ModuleType("installed_sort")
        functions.setdefault("problem", lambda _plan: "")
        vars(module).update(functions)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setattr(operations, "MODULES", {**operations.MODULES, SORT: module.__name__})

    return install


def interrupted(here, *, unfinished=Unfinished.UNDO, **fields):
    """It has begun its step, and its process is gone."""
    one = step("a", **{"params": {"path": "/sys/a", "value": "1"}, "resource": "sysfs:/sys/a", **fields})
    made = Plan(SORT, "a thing", OTHER, steps=(one,), unfinished=unfinished)
    with here.transaction(made) as transaction:
        transaction.begin("boot-1")
        transaction.journal.intent(Action.APPLY, one)


def interrupted_for_good(here):
    """Likewise, and nothing can undo it."""
    params = {"argv": ["on"], "undo_argv": ["no-such-program"]}
    interrupted(here, kind="command.run", params=params, resource="command:on", baseline={})


def value(here):
    with open(here.paths.at("sys/a"), encoding="ascii") as file:
        return file.read().strip()


def test_one_that_nobody_has_installed_is_ended_as_its_plan_says(here):
    interrupted(here)
    assert recover.settle(here, OTHER) == DEFAULT
    assert (value(here), read_both(here.paths, OTHER)) == ("0", None)
    assert read_all(here.paths).runs[0].message == DEFAULT


def test_one_that_has_no_rules_of_its_own_likewise(here, installed):
    installed()
    interrupted(here)
    assert recover.settle(here, OTHER) == DEFAULT


class Kept(Settling):
    """What it has done stays; the books are closed."""

    def verdict(self):
        return Unfinished.LEAVE

    def ended(self, verdict):
        self.transaction().forget()
        return f"It may stay ({verdict})."


class Wordy(Settling):
    """Undone as ever, in other words, and looked at afterwards."""

    def ended(self, verdict):
        super().ended(verdict)
        return "The thing is as it was."

    def failed(self, verdict):
        super().failed(verdict)
        return VfioctlError("test.failed", f"The thing is not as it was: {self.failures[0].message}")

    def afterwards(self, said):
        with Lock(self.node.paths.key_lock(OTHER)):
            return f"{said} It was seen."


def test_one_that_is_installed_says_what_is_done(here, installed):
    installed(settle=Kept)
    interrupted(here)
    assert recover.settle(here, OTHER) == "It may stay (leave)."
    assert (value(here), read_both(here.paths, OTHER)) == ("1", None)


def test_and_in_which_words_and_looks_at_it_once_its_lock_is_free(here, installed):
    installed(settle=Wordy)
    interrupted(here)
    assert recover.settle(here, OTHER) == "The thing is as it was. It was seen."
    assert value(here) == "0"


def test_what_cannot_be_ended_is_said_in_its_words_as_well(here, installed):
    installed(settle=Wordy)
    interrupted_for_good(here)
    with pytest.raises(VfioctlError, match=r"^The thing is not as it was: ") as caught:
        recover.settle(here, OTHER)
    assert caught.value.code == "test.failed"
    assert read_both(here.paths, OTHER).standing is Standing.UNDOING


def test_while_a_process_works_on_it_its_sort_says_so(here, installed):
    installed(lock=lambda paths, key: Lock(paths.key_lock(key), "The thing is in work"))
    interrupted(here)
    with Lock(here.paths.key_lock(OTHER)), pytest.raises(Busy, match="The thing is in work by process"):
        recover.settle(here, OTHER)


def test_the_lock_of_a_guest_is_that_of_a_hand_off_also_while_nothing_is_open(here):
    with Lock(here.paths.key_lock(UUID)), pytest.raises(Busy, match="The guest is being handed off by process"):
        recover.settle(here, UUID)
    assert recover.settle(here, UUID) == recover.NOTHING
    assert os.path.exists(here.paths.key_lock(UUID))  # its file stays: others may wait for it


def test_where_there_is_nothing_no_file_is_left_either(here):
    assert recover.settle(here, OTHER) == recover.NOTHING
    assert not os.path.exists(here.paths.locks)


def test_a_hook_ends_nothing_that_needs_libvirt(here):
    interrupted(here, touches=(domain(UUID),))
    with pytest.raises(Refused, match="needs libvirt for that"):
        recover.settle(here, OTHER, hurried=True)
    assert recover.settle(here, OTHER) == DEFAULT


def test_one_that_only_a_person_may_end_is_left(here):
    interrupted(here, unfinished=Unfinished.LEAVE)
    with pytest.raises(Refused, match="nothing but a person may end it"):
        recover.settle(here, OTHER)
    assert value(here) == "1"
    assert discard.candidates(here.paths) == (OTHER,)


def test_only_one_that_was_tried_in_vain_may_be_put_aside(here):
    interrupted_for_good(here)
    assert discard.candidates(here.paths) == ()
    with pytest.raises(VfioctlError, match=r"could not be ended: a: ") as caught:
        recover.settle(here, OTHER)
    assert caught.value.hints[-1].endswith(f"vfioctl recover --discard {OTHER}")
    assert discard.candidates(here.paths) == (OTHER,)
    (failure,) = read_both(here.paths, OTHER).failures
    assert (failure.step, failure.action, bool(failure.note)) == ("a", Action.UNDO, True)


def test_a_hook_that_has_no_time_for_it_has_not_tried_all(here):
    interrupted_for_good(here)
    with pytest.raises(VfioctlError) as caught:
        recover.settle(here, OTHER, hurried=True)
    assert "--discard" not in str(caught.value)
    assert discard.candidates(here.paths) == ()


def test_two_interrupted_ones_on_one_guest_are_both_ended(here):
    interrupted(here, touches=(domain(UUID),))
    with here.transaction(plan(step("h"), devices=())) as transaction:
        transaction.begin("boot-1")
    assert recover.settle(here, OTHER) == DEFAULT
    assert "the interrupted hand-off was undone" in recover.settle(here, UUID)
