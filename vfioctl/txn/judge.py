"""Whether a plan that stands in a journal may be obeyed. Looks at the plan alone; what is true the machine says.

One of our own is judged before it is committed, so that no journal is written that will not be read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import VfioctlError
from vfioctl.txn import operation
from vfioctl.txn.kind import is_condition, kind
from vfioctl.txn.plan import EXPECTS, Plan
from vfioctl.txn.shape import (
    FLAG,
    TEXT,
    Form,
    Shape,
    is_number,
    is_seconds,
    is_text,
    many,
    optional,
    shown,
)
from vfioctl.txn.step import Step

if TYPE_CHECKING:
    from typing import Any

STEP = Shape(
    resource=TEXT, touches=many(TEXT), reason=TEXT, plugin=TEXT,
    deadline=Form("a number of seconds", is_seconds), best_effort=FLAG,
    stall=Form("a number of seconds, or 0", lambda value: is_seconds(value) or (is_number(value) and value == 0)),
)  # fmt: skip
PLAN = Shape(
    operation=TEXT, subject=TEXT, id=TEXT, notes=Form("an object", lambda value: isinstance(value, Mapping))
)
NOTES = Shape(**{EXPECTS: optional(many(TEXT))})
FINDING = Shape(code=TEXT, message=TEXT, hint=TEXT, source=TEXT)
HEAD = Shape(
    boot_id=TEXT, version=TEXT, started=Form("a time", is_number),
    extra=optional(Form("an object", lambda value: isinstance(value, Mapping))),
)  # fmt: skip


def problem_of(plan: Plan, key: str) -> str:
    """Why the plan in the journal `key` is not to be obeyed, in words; "" when it may be."""
    return next(_problems(plan, key), "")


def problem_of_head(head: Mapping[str, Any]) -> str:
    """What is wrong with the first line of a journal, its plan apart; "" for nothing."""
    return HEAD.problem(head)


def _problems(plan: Plan, key: str) -> Iterator[str]:
    if said := PLAN.problem(plan.__dict__):
        yield said
        return
    if said := NOTES.problem(plan.notes):
        yield f"its notes are wrong: {said}"
        return
    known = operation.find(plan.operation)
    if known and (said := known.problem(plan)):
        yield said
    if plan.key != key:
        yield f"it is of {shown(plan.key)}, not of {key}"
    for name, seconds in plan.limits.__dict__.items():
        if not is_seconds(seconds):
            yield f"its limit for {name} is {shown(seconds)}, not a number of seconds"
    yield from filter(None, (FINDING.problem(finding.__dict__) for finding in plan.findings))
    for step in plan.all_steps():
        if said := _step_problem(step):
            yield f"its step {shown(step.id)} (plugin {shown(step.plugin)}) is wrong: {said}"
    yield from _order_problems(plan)


def _step_problem(step: Step) -> str:
    if not is_text(step.id) or not step.id:
        return "its id is no text"
    if not is_text(step.kind):
        return f"its kind is {shown(step.kind)}"
    try:
        form = kind(step.kind)
    except VfioctlError as error:
        return error.message
    return STEP.problem(step.__dict__) or form.unfit(step.params) or form.keeps.problem(step.baseline)


def _order_problems(plan: Plan) -> Iterator[str]:
    """What is wrong between the steps: two of one name, a way back through one that is not there."""
    count = Counter(step.id for step in plan.all_steps())
    for name in (name for name, times in count.items() if times > 1):
        yield f"two of its steps are called {shown(name)}"
    for item in plan.way_back:
        if item.step not in count:
            yield f"its way back leads through {shown(item.step)}, which is none of its steps"
    for condition in plan.proof:
        if not is_condition(condition):
            yield f"it is to be proven by {shown(condition.kind)} of {shown(condition.args)}, which is no condition"
