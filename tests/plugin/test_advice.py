"""An interrupted operation of a plugin is ended as that advises; whatever it does wrong, as its plan says."""

from __future__ import annotations

import sys
import time
from types import ModuleType

import pytest
from txn_builders import OTHER, step

from vfioctl import guard
from vfioctl.compose import compose
from vfioctl.errors import Refused
from vfioctl.frozen import replace
from vfioctl.plugin import Advice, Unfinished, manifest
from vfioctl.plugin.types import PluginInfo
from vfioctl.txn import recover
from vfioctl.txn.journal import read_both
from vfioctl.txn.plan import Action, Plan

NAME, MODULE = "shelf fill", "shelf_advice"
BY_PLAN = "shelf fill shelf:top was interrupted; it was undone."


class Log:
    """Keeps the warnings."""

    def __init__(self):
        self.said = []

    def warning(self, message, **fields):
        self.said.append((fields.get("code"), message))


@pytest.fixture
def here(tmp_path):
    """A host on which the operation has set one of two attributes."""
    (tmp_path / "proc/sys/kernel/random").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/random/boot_id").write_text("boot-1\n")
    (tmp_path / "sys").mkdir()
    (tmp_path / "sys/a").write_text("1\n")
    (tmp_path / "sys/b").write_text("0\n")
    tmp_path.chmod(0o755)
    composition = compose(str(tmp_path))
    steps = tuple(
        step(name, params={"path": f"/sys/{name}", "value": "1"}, resource=f"sysfs:/sys/{name}", plugin="shelf")
        for name in "ab"
    )
    with composition.transaction(Plan(NAME, "shelf:top", OTHER, "id1", steps, notes={"books": 7})) as transaction:
        transaction.begin("boot-1")
        transaction.journal.intent(Action.APPLY, steps[0])
        transaction.journal.done(Action.APPLY, steps[0], "")
    return composition


@pytest.fixture
def installed(here, monkeypatch):
    """Installs the plugin with this function."""

    def install(function, status="ok"):
        module = ModuleType(MODULE)
        module.settle = function
        monkeypatch.setitem(sys.modules, MODULE, module)
        info = PluginInfo("shelf", "1", 2, MODULE, status=status, operations={NAME: f"{MODULE}:settle"})
        manifest.write(here.paths, replace(manifest.build(), plugins=(info,)))

    return install


def values(here):
    found = []
    for name in "ab":
        with open(here.paths.at(f"sys/{name}"), encoding="ascii") as file:
            found.append(file.read().strip())
    return found


def test_of_what_was_given_up_and_undone_it_is_not_said_that_it_was_finished(here, installed):
    installed(lambda interrupted, host: Advice(Unfinished.FINISH, "The shelf is full."))
    assert recover.settle(here, OTHER, given_up=True) == BY_PLAN
    assert values(here) == ["0", "0"]


def test_it_is_asked_with_what_is_known_and_its_words_are_said(here, installed):
    asked = []

    def settle(interrupted, host):
        asked.append((interrupted, host.boot_id()))
        return Advice(Unfinished.FINISH, "The shelf is full.")

    installed(settle)
    assert recover.settle(here, OTHER) == "The shelf is full."
    assert values(here) == ["1", "1"]
    ((interrupted, boot),) = asked
    assert (interrupted.operation, interrupted.subject, interrupted.id) == (NAME, "shelf:top", "id1")
    assert (interrupted.begun, interrupted.done, interrupted.restarted) == (("a",), ("a",), False)
    assert (dict(interrupted.notes), boot) == ({"books": 7}, "boot-1")


def test_it_may_leave_it_to_a_person(here, installed):
    installed(lambda _interrupted, _host: Advice(Unfinished.LEAVE))
    with pytest.raises(Refused, match="nothing but a person may end it"):
        recover.settle(here, OTHER)
    assert read_both(here.paths, OTHER)


@pytest.mark.parametrize("status", ["broken: it is old", "disabled"])
def test_one_that_is_not_to_be_used_is_not_asked(here, installed, status):
    installed(lambda _interrupted, _host: Advice(Unfinished.FINISH), status)
    assert recover.settle(here, OTHER) == BY_PLAN
    assert values(here) == ["0", "0"]


def test_nor_is_any_while_libvirt_waits(here, installed):
    installed(lambda _interrupted, _host: Advice(Unfinished.FINISH))
    assert recover.settle(here, OTHER, hurried=True) == BY_PLAN


def test_one_that_the_list_of_plugins_does_not_have_any_more_is_looked_for(here, installed, monkeypatch):
    installed(lambda _interrupted, _host: Advice(Unfinished.FINISH, "The shelf is full."))
    found = manifest.known(here.paths)
    manifest.write(here.paths, replace(found, stamps=(manifest.Stamp(here.paths.root, 1),)))
    monkeypatch.setattr(manifest, "isolated", lambda _programs, _interpreter: found)
    assert recover.settle(here, OTHER) == "The shelf is full."


def test_without_a_list_of_plugins_the_plan_counts(here):
    assert recover.settle(here, OTHER) == BY_PLAN


def test_plugins_that_cannot_be_looked_for_are_named_and_the_plan_counts(here, monkeypatch):
    log = Log()
    monkeypatch.setattr(manifest, "SCAN", "raise SystemExit('no room')")
    assert recover.settle(here, OTHER, log=log) == BY_PLAN
    ((code, said),) = log.said
    assert code == "plugin.manifest"
    assert said.startswith(f"{NAME} is ended as its plan says: The plugins cannot be searched for: ")


def fails(_interrupted, _host):
    raise ValueError("no shelf")


def hangs(_interrupted, _host):
    time.sleep(60)


WRONG = {
    "raises": (fails, "plugin.failed", "ValueError: no shelf"),
    "hangs": (hangs, "plugin.hung", "did not return within"),
    "answers something else": (lambda _interrupted, _host: "finish", "plugin.bad_result", "answered str 'finish'"),
    "takes something else": (lambda: None, "plugin.failed", "TypeError"),
}


@pytest.mark.parametrize("case", WRONG)
def test_one_that_does_it_wrong_is_named_and_the_plan_counts(here, installed, monkeypatch, case):
    function, code, why = WRONG[case]
    monkeypatch.setattr(guard.call, "__kwdefaults__", {"alarm": 0.2})
    log = Log()
    installed(function)
    assert recover.settle(here, OTHER, log=log) == BY_PLAN
    ((said_code, said),) = log.said
    assert said_code == code
    assert said.startswith(f"{NAME} is ended as its plan says: {MODULE}:settle ")
    assert why in said


def test_nothing_to_say_leaves_it_to_the_plan(here, installed):
    log = Log()
    installed(lambda _interrupted, _host: None)
    assert recover.settle(here, OTHER, log=log) == BY_PLAN
    assert log.said == []
