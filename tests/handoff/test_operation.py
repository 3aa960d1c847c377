"""The hand-off as an operation: its plans of earlier schemas, what its notes may be, and how users see it."""

from __future__ import annotations

import json

from txn_builders import plan, step

from vfioctl.frozen import replace
from vfioctl.handoff.operation import as_shown, problem, upgraded
from vfioctl.txn import operation
from vfioctl.txn.plan import Plan, Unfinished


def former(made):
    """The plan as schema 2 wrote it, which is how users still see it."""
    return json.loads(json.dumps(as_shown(made), default=str))


def test_a_plan_of_schema_2_is_the_same_plan_in_this_one():
    made = replace(plan(step("a"), returns=(step("b"),)), unfinished=Unfinished.RETURN)
    assert Plan.from_json(upgraded(former(made))) == made


def test_users_see_the_keys_that_they_know_in_their_order():
    assert list(as_shown(plan()))[:5] == ["schema", "guest", "uuid", "devices", "steps"]
    assert as_shown(plan())["schema"] == 2


def test_a_guest_that_is_a_path_and_a_device_that_is_none_are_problems_in_words():
    assert "cannot be called" in problem(replace(plan(), subject="../x"))
    assert "devices" in problem(replace(plan(), notes={"devices": ["x"]}))
    assert problem(plan()) == ""


def test_an_operation_that_is_not_installed_is_none():
    assert operation.find("moon landing") is None
    assert operation.find("hand-off") is not None
