"""From proposals to a plan: order, baselines, checks. Looks at facts and the ledger; changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence

from vfioctl.findings import Finding
from vfioctl.frozen import field, frozen
from vfioctl.host.host import Host
from vfioctl.limits import Limits
from vfioctl.txn.kind import Kind, kind
from vfioctl.txn.ordering import Proposed, merged, ordered
from vfioctl.txn.plan import Plan, way_back
from vfioctl.txn.resources import Entry, Ledger
from vfioctl.txn.step import Condition, Json, Phase, Step, StepProposal, strongest

APPLIED = (Phase.BEFORE, Phase.GIVE)
ID_BYTES = 4  # of an operation's id: it stands in names that users read, beside the second of the start


@frozen
class Brief:
    """What is asked of the planner. Once the steps are known, `checks` says what else speaks against them.

    It gets the steps that are applied, and what others hold of their resources in another way.
    """

    guest: str
    uuid: str
    proposals: Sequence[Proposed]
    checks: Callable[[tuple[Step, ...], Mapping[str, Entry]], Iterable[Finding]]
    back: tuple[Condition, ...] = ()
    findings: tuple[Finding, ...] = ()
    budget: Limits = field(default_factory=Limits)
    operation: str = ""  # the id that marks what the steps make; one is made up where it is empty


def new_operation() -> str:
    """An id that no other operation has."""
    return os.urandom(ID_BYTES).hex()


def make_plan(brief: Brief, host: Host, ledger: Ledger) -> Plan:
    """The plan for `brief`, with every finding at once. Raises Refused when the proposals contradict each other."""
    proposals, operation = ordered(merged(brief.proposals)), brief.operation or new_operation()
    steps = tuple(_step(item, host, ledger, brief.uuid, operation) for item in proposals)
    applied = tuple(step for step in steps if step.phase in APPLIED)
    running = tuple(step for step in steps if step.phase is Phase.RUNNING)
    returns = tuple(step for step in steps if step.phase in (Phase.RETURN, Phase.AFTER))
    return Plan(
        guest=brief.guest, uuid=brief.uuid,
        steps=applied,
        running=running,
        returns=returns,
        way_back=way_back((*applied, *running), returns),
        back=brief.back,
        findings=tuple(dict.fromkeys(_findings(brief, proposals, applied, host, ledger))),
        budget=brief.budget,
        operation=operation,
    )  # fmt: skip


def _step(item: Proposed, host: Host, ledger: Ledger, uuid: str, operation: str) -> Step:
    proposal, form = item.step, kind(item.step.kind)
    resource = form.resource(proposal.params)
    held = ledger.entry(proposal.kind, resource)
    shared = held is not None and any(holder != uuid for holder in held.holders)
    return Step(
        id=proposal.id, kind=proposal.kind, params=dict(proposal.params), reason=proposal.reason,
        phase=proposal.phase, resource=resource,
        baseline=dict(held.baseline if held and shared else _baseline(form, proposal, host, operation)),
        undo=form.undo_of(proposal.params), scope=strongest(form.scope, proposal.scope),
        lifetime=strongest(form.lifetime, proposal.lifetime), plugin=item.plugin,
        deadline=proposal.deadline, releases=proposal.releases, best_effort=proposal.best_effort,
        touches=form.touches(proposal.params),
    )  # fmt: skip


def _baseline(form: Kind, proposal: StepProposal, host: Host, operation: str) -> Json:
    """What is to be put back, and the mark by which an undo knows what this operation has made."""
    mark = {"operation": operation} if form.marks else {}
    return {**form.baseline(proposal.params, host), **mark}


def _findings(
    brief: Brief, proposals: Sequence[Proposed], steps: tuple[Step, ...], host: Host, ledger: Ledger
) -> Iterable[Finding]:
    yield from brief.findings
    for item in proposals:
        yield from kind(item.step.kind).check(item.step, host)
    yield from brief.checks(steps, ledger.conflicts(steps, brief.uuid))
