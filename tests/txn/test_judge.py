"""A plan is obeyed only where each of its values is one that its kind takes; what older versions wrote is taken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from txn_builders import UUID, plan, step

from vfioctl.frozen import replace
from vfioctl.kinds import MODULES
from vfioctl.kinds.common import ADDRESS
from vfioctl.kinds.conditions import CONDITION
from vfioctl.limits import Limits
from vfioctl.txn import judge
from vfioctl.txn.kind import kind
from vfioctl.txn.operation import upgraded
from vfioctl.txn.plan import Plan
from vfioctl.txn.shape import ABSOLUTE, ARGV, COUNT, FLAG, NAME, PROGRAM, Shape, optional
from vfioctl.txn.step import Condition

RECORDED = sorted((Path(__file__).parent.parent / "data" / "journals").rglob("*.jsonl"))
VALUES = (None, True, 0, -1, 1.5, "", "a", "/a", "../a", "a\0b", [], ["a"], {}, {"a": 1}, "x" * 5000)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_an_older_version_wrote_is_taken(path):
    head = json.loads(path.read_text().partition("\n")[0].replace("@ROOT@", "/root"))
    made = Plan.from_json(upgraded(head["plan"]))
    assert (judge.problem_of(made, made.key), judge.problem_of_head(head)) == ("", "")


def test_the_plan_of_another_journal_is_not_taken():
    assert "it is of" in judge.problem_of(plan(step("a")), "22222222-2222-3333-4444-555555555555")


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), "10", True, 1e12])
def test_a_budget_or_deadline_without_an_end_is_not_taken(seconds):
    assert judge.problem_of(replace(plan(), limits=Limits(finish=seconds)), UUID)
    assert judge.problem_of(plan(step("a", deadline=seconds)), UUID)


@pytest.mark.parametrize("condition", [
    Condition("moon.full", {}), Condition("path.exists", {"path": "etc"}), Condition("path.exists", {}),
    Condition("path.absent", {"path": "/sys/../etc"}), Condition("no.holders", {"addresses": [1]}), Condition(1, 2),
])  # fmt: skip
def test_a_proof_that_cannot_be_looked_for_is_not_taken(condition):
    assert "no condition" in judge.problem_of(replace(plan(), proof=(condition,)), UUID)


@pytest.mark.parametrize("name", MODULES)
def test_no_value_of_a_parameter_makes_the_check_of_a_kind_fail(name):
    """It answers in words, whatever a damaged journal says; none of these is a whole set of parameters."""
    form = kind(name)
    for value in VALUES:
        assert isinstance(form.unfit(value), str)
        for shape in (form.takes, form.keeps):
            assert isinstance(shape.problem(dict.fromkeys(shape.forms, value)), str)
        assert isinstance(form.unfit(dict.fromkeys(form.takes.forms, value)), str)


@pytest.mark.parametrize("name", MODULES)
def test_a_kind_says_what_it_takes_as_its_page_does(name):
    form = kind(name)
    braces = form.__doc__.partition("{")[2].partition("}")[0]
    said = {part.strip().split(":")[0].strip() for part in braces.split(",")} - {"…", ""}
    named = {word.removesuffix("?") for word in said if word.removesuffix("?").isidentifier()}
    assert named <= {*form.takes.forms, "kind", "args"}


@pytest.mark.parametrize(("form", "fit", "unfit"), [
    (ADDRESS, ["0000:01:00.0"], ["01:00.0", "0000:01:00.0/..", "", None, 1]),
    (NAME, ["vfio-pci", "simple-framebuffer.0"], ["", ".", "..", "a/b", "-C", "a\0", None, "n" * 256]),
    (ABSOLUTE, ["/", "/a/b", "/a..b"], ["", "a", "/a/../b", "/..", None, "/a\0"]),
    (PROGRAM, ["rm", "/usr/bin/rm"], ["./rm", "bin/rm", "-rm", "", "/usr/../rm"]),
    (ARGV, [["rm"], ("rm", "-f")], [[], "rm", [1], ["rm", None], ["a/b"], ["rm", "\0"]]),
    (FLAG, [True, False], [0, 1, "true", None]),
    (COUNT, [0, 7], [-1, True, 1.0, "1"]),
    (CONDITION, [{"kind": "module.gone", "args": {"module": "nvidia"}}], [{}, None, {"kind": [], "args": {}}, []]),
])  # fmt: skip
def test_a_form_takes_what_it_says(form, fit, unfit):
    assert [value for value in fit if not form.fits(value)] == []
    assert [value for value in unfit if form.fits(value)] == []


def test_a_key_that_nobody_knows_is_passed_over():
    """A newer version of the same schema may have written it."""
    shape = Shape(a=FLAG, b=optional(FLAG))
    assert shape.problem({"a": True, "c": 1}) == ""
    assert shape.problem({"b": True}) == "a is missing"
    assert shape.problem({"a": True, "b": 1}) == "b is 1, not true or false"
