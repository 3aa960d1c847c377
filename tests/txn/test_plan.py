"""The plan survives the journal, and carries its whole way back."""

from __future__ import annotations

import json

from txn_builders import plan, step

from vfioctl.findings import Finding, Severity
from vfioctl.txn.plan import Action, Part, Plan
from vfioctl.txn.step import Condition, Frees, Lifetime, Phase, Scope, Undo


def test_a_plan_reads_back_from_json_as_it_was():
    first = step("a", releases=(Frees(unit="x.service"),), touches=("pci:0000:01:00.0",))
    whole = plan(first, step("b", phase=Phase.BEFORE), returns=(step("c", phase=Phase.AFTER),))
    assert Plan.from_json(json.loads(json.dumps(whole.to_json()))) == whole


def test_findings_and_conditions_survive_json():
    made = plan(step("a"))
    whole = Plan(**{
        **{name: getattr(made, name) for name in ("operation", "subject", "key", "steps")},
        "findings": (Finding("x.y", "A sentence.", Severity.WARN),),
        "proof": (Condition("path.exists", {"path": "/dev/null"}),),
    })  # fmt: skip
    assert Plan.from_json(json.loads(json.dumps(whole.to_json()))) == whole


def test_unknown_fields_of_a_newer_version_are_passed_over():
    data = json.loads(json.dumps(plan(step("a")).to_json()))
    data["colour"] = "blue"
    data["steps"][0]["shape"] = "round"
    assert Plan.from_json(data) == plan(step("a"))


def test_what_was_given_comes_home_in_the_hook_and_the_desktop_after_it():
    made = plan(step("dm", phase=Phase.BEFORE), step("bind"), returns=(step("verify", phase=Phase.RETURN),))
    assert [(item.step, item.action, item.part) for item in made.way_back] == [
        ("bind", Action.UNDO, Part.HOOK),
        ("dm", Action.UNDO, Part.DETACHED),
        ("verify", Action.APPLY, Part.DETACHED),
    ]


def test_a_snapshot_is_not_undone_by_the_return():
    made = plan(step("snap", scope=Scope.TRANSACTION, lifetime=Lifetime.DISK), step("bind"))
    assert [item.step for item in made.way_back] == ["bind"]


def test_resources_are_sorted_and_include_what_is_only_locked():
    made = plan(step("b"), step("a", touches=("pci:0000:01:00.0",)))
    assert made.resources == ("pci:0000:01:00.0", "sysfs:/sys/a", "sysfs:/sys/b")


def test_the_point_of_no_return_is_the_first_ended_session():
    made = plan(step("a"), step("end", kind="session.end", undo=Undo.NONE))
    assert made.point_of_no_return == "end"
    assert plan(step("a")).point_of_no_return is None
