"""What a return locks: for one step what that step changes, and nothing while it waits; who is busy is no failure."""

from __future__ import annotations

import os
import time

import pytest
from txn_builders import OTHER, UUID, plan, step

from vfioctl.errors import Busy
from vfioctl.files import Lock, read_text
from vfioctl.paths import Paths
from vfioctl.proc import Programs
from vfioctl.txn.clock import Deadline
from vfioctl.txn.engine import Engine
from vfioctl.txn.journal import Journal, read_both
from vfioctl.txn.machine import Machine
from vfioctl.txn.plan import Action
from vfioctl.txn.resources import Ledger, file_name, turns
from vfioctl.txn.step import Phase

LONG = 30.0
MANAGER = "lightdm.service"


@pytest.fixture
def paths(tmp_path):
    made = Paths(str(tmp_path))
    os.makedirs(made.sys)
    for name in ("one", "two"):
        (tmp_path / "sys" / name).write_text("1\n")
    return made


def lock(paths, resource):
    return Lock(os.path.join(paths.locks, file_name(resource) + ".lock"))


def returning(paths, *returns, observe=lambda _: None, **fields):
    """A guest that has changed `one` and `two`, and the engine of its return."""
    one, two = step("one", touches=("module:shared",)), step("two")
    made = plan(one, two, returns=returns)
    ledger, journal = Ledger(paths), Journal(paths, UUID, observe=observe)
    journal.begin(made, "boot")
    for item in made.steps:
        ledger.join(item, UUID, "win11")
    return made, Engine(Machine(paths, Programs(paths.programs)), journal, ledger, turn=turns(paths, **fields))


def give_back(made, engine, seconds=LONG):
    return engine.give_back(made, made.way_back, UUID, deadline=Deadline(seconds))


def test_each_step_has_its_own_locks_and_no_others(paths):
    names = ("sysfs:/sys/one", "sysfs:/sys/two", "module:shared")
    seen = {}

    def look(boundary):
        seen[str(boundary)] = tuple(name for name in names if lock(paths, name).is_held_elsewhere())

    assert give_back(*returning(paths, observe=look)) == ()
    assert seen == {
        "intent undo two": ("sysfs:/sys/two",), "done undo two": ("sysfs:/sys/two",),
        "intent undo one": ("sysfs:/sys/one", "module:shared"), "done undo one": ("sysfs:/sys/one", "module:shared"),
    }  # fmt: skip
    assert not any(lock(paths, name).is_held_elsewhere() for name in names)


def test_a_step_that_does_not_get_its_turn_ends_the_try_and_nothing_of_it_is_done(paths):
    made, engine = returning(paths, longest=0.0)
    with lock(paths, "module:shared"), pytest.raises(Busy, match="shared is worked on by process"):
        give_back(made, engine)
    assert read_both(paths, UUID).finished(Action.UNDO) == {"two"}
    assert read_text(paths.at("sys/one")) == "1\n"
    assert Ledger(paths).entry("sysfs.write", "sysfs:/sys/one") is not None


def test_a_step_of_the_return_that_does_not_get_its_turn_is_no_warning(paths):
    made, engine = returning(paths, step("after", phase=Phase.AFTER, params={"path": "/sys/one", "value": "0"},
                                         resource="sysfs:/sys/after"), longest=0.0)  # fmt: skip
    with lock(paths, "sysfs:/sys/after"), pytest.raises(Busy):
        give_back(made, engine)
    assert engine.warnings == []


def test_half_of_the_time_is_left_to_the_step_that_waits_for_its_turn(paths):
    made, engine = returning(paths)
    began = time.monotonic()
    with lock(paths, "sysfs:/sys/two"), pytest.raises(Busy):
        give_back(made, engine, 1.0)
    assert 0.5 <= time.monotonic() - began < 0.9


def test_a_start_takes_no_lock_for_a_step_since_it_holds_them_all(paths):
    made, engine = returning(paths)
    held = Engine(engine.machine, engine.journal, engine.ledger)
    with lock(paths, "sysfs:/sys/one"), lock(paths, "sysfs:/sys/two"), lock(paths, "module:shared"):
        assert held.undo(made, ("one", "two"), UUID, deadline=Deadline(LONG)) == ()


def test_what_another_guest_leaves_while_this_one_is_undone_is_put_back_although_it_never_changed_it(paths):
    """Both have left it to the other one otherwise: one looked before, the other one after."""
    unchanged, changed = step("one"), step("two")
    made, ledger = plan(unchanged, changed), Ledger(paths)
    for uuid, name in ((OTHER, "steam deck"), (UUID, "win11")):
        ledger.join(unchanged, uuid, name)

    def leave(boundary):
        if str(boundary) == "done undo two":
            assert ledger.others(unchanged, OTHER) == ("win11",)
            ledger.leave(unchanged, OTHER)

    journal = Journal(paths, UUID, observe=leave)
    journal.begin(made, "boot")
    engine = Engine(Machine(paths, Programs(paths.programs)), journal, ledger, turn=turns(paths))
    assert engine.undo(made, ("two",), UUID, deadline=Deadline(LONG)) == ()
    assert read_text(paths.at("sys/one")) == "0\n"
    assert ledger.entries() == ()


def test_what_another_guest_still_holds_is_left_to_it_in_one_turn(paths):
    made, engine = returning(paths)
    one, _ = made.steps
    engine.ledger.join(one, OTHER, "steam deck")
    with lock(paths, one.resource), pytest.raises(Busy):
        engine.let_go((one,), UUID, deadline=Deadline(0.2))
    assert engine.let_go((one,), UUID, deadline=Deadline(LONG)) == ()
    assert read_text(paths.at("sys/one")) == "1\n"
    assert engine.ledger.is_inherited(one, OTHER)
    assert not engine.ledger.is_held(one, UUID)


def display_manager(kind, params):
    return step("proof", kind=kind, params=params, phase=Phase.AFTER, resource="", deadline=LONG, best_effort=True)


ACTIVE = {"kind": "unit.state", "args": {"unit": MANAGER, "state": "active"}}
DRAWN = {"kind": "has.holder", "args": {"addresses": ["0000:01:00.0"], "by": MANAGER}}


@pytest.mark.parametrize(("kind", "params"), [
    ("wait.until", {"condition": ACTIVE}), ("wait.until", {"condition": DRAWN}),
    ("unit.restart", {"unit": MANAGER, "unless": DRAWN, "once": []}),
])  # fmt: skip
def test_what_another_guest_keeps_stopped_is_not_waited_for(paths, kind, params):
    made, engine = returning(paths, display_manager(kind, params))
    stopped = step("stop", kind="unit.stop", params={"unit": MANAGER}, resource=f"unit:{MANAGER}", baseline={})
    engine.ledger.join(stopped, OTHER, "steam deck")
    assert give_back(made, engine) == ()
    assert engine.warnings == []
    last = read_both(paths, UUID).records[-1]
    assert (last.what, last.step, last.note) == ("done", "proof", "still needed by steam deck")
