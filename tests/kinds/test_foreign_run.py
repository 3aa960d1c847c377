"""foreign.run: a plugin's own function, undone by the core's steps although its plugin is gone."""

from __future__ import annotations

import os
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from step_builders import planned, put

from vfioctl.compose import compose
from vfioctl.errors import StepRefused
from vfioctl.kinds.foreign_run import KIND
from vfioctl.proc import Programs
from vfioctl.txn import judge, recover
from vfioctl.txn.clock import Stopwatch
from vfioctl.txn.journal import Standing
from vfioctl.txn.kind import kind
from vfioctl.txn.machine import Machine
from vfioctl.txn.ordering import Proposed
from vfioctl.txn.planner import Brief, make_plan
from vfioctl.txn.resources import Ledger
from vfioctl.txn.runner import here, queue
from vfioctl.txn.step import Lifetime, StepProposal, Undo

PLUGIN = '''import time

def on(params, machine):
    with open(machine.paths.at("sys/led"), "w") as file:
        file.write(params["value"])

def broken(params, machine):
    raise OSError("the light is out")

def ends(params, machine):
    on(params, machine)
    raise SystemExit(0)

def hangs(params, machine):
    on(params, machine)
    for number in range(200):
        time.sleep(0.1)

def late(params, machine):
    on(params, machine)
    time.sleep(0.3)

def answers(params, machine):
    on(params, machine)
    return params["answer"]
'''
BACK = {"kind": "sysfs.write", "params": {"path": "/sys/led", "value": "0"}}
WISH = {"target": "vfioctl_party:on", "resource": "led", "params": {"value": "1"}, "undo_with": [BACK]}


@pytest.fixture
def machine(plain):
    put(plain.paths.at("sys/led"), "0")
    return plain


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """An installed plugin, which `gone` takes away."""
    place = tmp_path / "site"
    place.mkdir(mode=0o755)
    (place / "vfioctl_party.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.setattr("vfioctl.kinds.foreign_run.writable", lambda _module: None)  # pytest's places are open
    yield place
    sys.modules.pop("vfioctl_party", None)


def gone(plugin):
    (plugin / "vfioctl_party.py").unlink()
    sys.modules.pop("vfioctl_party", None)


def led(machine):
    with open(machine.paths.at("sys/led"), encoding="utf-8") as file:
        return file.read().strip()


def made(node, deadline=30.0, **changes):
    return planned_of(node, StepProposal("light", "foreign.run", {**WISH, **changes}, "a test", deadline=deadline))


def planned_of(node, *proposals):
    proposed = tuple(Proposed("party", proposal) for proposal in proposals)
    brief = Brief("party", "led", str(uuid.uuid4()), proposed, lambda _steps, _held: ())
    return make_plan(brief, node.machine().host(), Ledger(node.paths))


@pytest.fixture
def node(machine):
    return compose(machine.paths.root)


def codes(plan):
    return [finding.code for finding in plan.findings]


def test_its_function_is_called_and_its_plan_says_how_it_is_undone(machine, node, plugin):
    plan = made(node)
    assert (codes(plan), plan.steps[0].undo, plan.steps[0].touches) == ([], Undo.RECREATED, ("sysfs:/sys/led",))
    assert "sysfs:/sys/led" in KIND.put_back(plan.steps[0].params)
    assert here(node, plan).error is None
    assert led(machine) == "1"


def test_what_undoes_something_on_a_disk_is_still_to_be_done_after_a_reboot(node, plugin):
    refresh = {"kind": "generated.refresh", "params": {"argv": ["true"]}}
    assert made(node).steps[0].lifetime is Lifetime.BOOT
    assert made(node, undo_with=[*WISH["undo_with"], refresh]).steps[0].lifetime is Lifetime.DISK


def test_what_it_began_is_undone_without_its_plugin(machine, node, plugin):
    plan = made(node)
    queue(node, plan)
    with node.transaction(plan) as transaction:
        transaction.reopen(Standing.APPLYING)
        transaction.journal.intent("apply", plan.steps[0])
    put(machine.paths.at("sys/led"), "1")
    gone(plugin)
    assert "was undone" in recover.settle(node, plan.key)
    assert led(machine) == "0"


def test_a_function_that_fails_is_undone(machine, node, plugin):
    failed = here(node, made(node, target="vfioctl_party:broken"))
    assert "the light is out" in failed.error.message
    assert (failed.error.state, led(machine)) == ("Everything was put back.", "0")


def test_a_function_that_ends_the_process_fails_and_is_undone(machine, node, plugin):
    failed = here(node, made(node, target="vfioctl_party:ends"))
    assert (failed.error.code, failed.error.state) == ("plugin.failed", "Everything was put back.")
    assert "vfioctl_party:ends calls sys.exit" in failed.error.message
    assert led(machine) == "0"


@pytest.mark.parametrize("answer", [True, 3, ["done"]])
def test_a_function_that_answers_with_no_text_fails_and_is_undone(machine, node, plugin, answer):
    params = {"value": "1", "answer": answer}
    failed = here(node, made(node, target="vfioctl_party:answers", params=params))
    assert (failed.error.code, led(machine)) == ("plugin.bad_result", "0")
    assert repr(answer) in failed.error.message


def test_what_a_function_answers_is_told_of_its_step(node, plugin):
    plan = made(node, target="vfioctl_party:answers", params={"value": "1", "answer": "it is on"})
    watch = Stopwatch()
    assert here(node, plan, watch=watch).error is None
    assert [one.outcome for one in watch.times if one.id == "light"] == ["it is on"]


def test_a_module_that_ends_the_process_when_it_is_imported_blocks_the_plan(node, plugin):
    (plugin / "vfioctl_ending.py").write_text("raise SystemExit(0)\n")
    assert codes(made(node, target="vfioctl_ending:on")) == ["foreign.broken"]


def test_a_function_that_does_not_return_in_its_time_is_interrupted_and_undone(machine, node, plugin):
    began = time.monotonic()
    failed = here(node, made(node, target="vfioctl_party:hangs", deadline=0.3))
    assert (failed.error.code, failed.error.state) == ("step.deadline", "Everything was put back.")
    assert "vfioctl_party:hangs did not return within 0.3 s." in failed.error.message
    assert led(machine) == "0"
    assert time.monotonic() - began < 10


def test_a_function_that_no_clock_can_interrupt_in_a_thread_fails_when_it_returns_too_late(machine, node, plugin):
    plan = made(node, target="vfioctl_party:late", deadline=0.1)
    with ThreadPoolExecutor() as threads:
        failed = threads.submit(here, node, plan).result()
    assert (failed.error.code, led(machine)) == ("step.deadline", "0")


def test_a_failure_after_what_was_for_good_does_not_say_that_all_was_put_back(machine, node, plugin):
    for_good = StepProposal("light", "foreign.run", {**WISH, "undo_with": [], "for_good": True}, "a test")
    params = {**WISH, "target": "vfioctl_party:broken", "resource": "other"}
    broken = StepProposal("broken", "foreign.run", params, "a test", after=("light",))
    failed = here(node, planned_of(node, for_good, broken))
    assert "the light is out" in failed.error.message
    assert failed.error.state == "Everything was put back but what nobody can take back: light (it was for good)."


def test_a_plugin_that_is_not_there_blocks_the_plan_and_refuses_the_step(machine, node, plugin):
    plan = made(node)
    gone(plugin)
    assert codes(made(node)) == ["foreign.broken"]
    refused = here(node, plan)
    assert (refused.error.code, led(machine)) == ("foreign.broken", "0")


def test_one_that_says_neither_undo_nor_for_good_is_refused_with_the_reason(node, plugin):
    assert codes(made(node, undo_with=[])) == ["foreign.no_undo"]
    for_good = made(node, undo_with=[], for_good=True)
    assert (codes(for_good), for_good.steps[0].undo) == ([], Undo.NONE)


@pytest.mark.parametrize("undo", [
    {"kind": "foreign.run", "params": WISH}, {"kind": "party.run", "params": {}}, {"kind": "sysfs.write", "params": {}},
    {"kind": "file.copy", "params": {"source": "/a", "dest": "/b"}}, "rm -rf /",
])  # fmt: skip
def test_an_undo_that_is_no_plain_step_of_the_core_blocks_the_plan(node, plugin, undo):
    assert "undo_with" in KIND.unfit({**WISH, "undo_with": [undo]})
    assert codes(made(node, undo_with=[undo])) == ["foreign.broken"]


@pytest.mark.parametrize("target", ["os:system;", "os", "../os:system", "os.path:", 7])
def test_a_target_is_a_module_and_a_name(target):
    assert "target" in KIND.unfit({**WISH, "target": target})


def test_root_calls_nothing_that_others_can_change(machine, tmp_path, monkeypatch):
    place = tmp_path / "open"
    place.mkdir()
    (place / "vfioctl_open.py").write_text(PLUGIN)
    os.chmod(place, 0o777)
    monkeypatch.syspath_prepend(str(place))
    step = planned(machine, "foreign.run", {**WISH, "target": "vfioctl_open:on"})
    with pytest.raises(StepRefused) as caught:
        KIND.apply(step, Machine(machine.paths, Programs(machine.paths.programs)))
    assert caught.value.code == "foreign.broken"
    assert "vfioctl_open" not in sys.modules


def test_undo_sh_leaves_it_to_recover_and_says_so(machine, plugin):
    step = planned(machine, "foreign.run", WISH)
    assert "vfioctl recover" in KIND.render_undo(step, machine.paths)[0]
    assert kind("foreign.run") is KIND


def test_a_plan_with_it_is_obeyed_when_it_is_read_again(node, plugin):
    plan = made(node)
    assert judge.problem_of(plan, plan.key) == ""
