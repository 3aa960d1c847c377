"""From proposals to a plan: order, baselines, checks. Looks at facts and the ledger; changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence

from vfioctl.checking import TYPE_CHECKING
from vfioctl.findings import Finding
from vfioctl.frozen import field, frozen
from vfioctl.host.host import Host
from vfioctl.limits import Limits
from vfioctl.txn.kind import Kind, kind
from vfioctl.txn.ordering import Proposed, merged, ordered
from vfioctl.txn.plan import Plan, Unfinished, way_back
from vfioctl.txn.resources import Entry, Ledger
from vfioctl.txn.step import Condition, Json, Phase, Step, StepProposal, strongest

if TYPE_CHECKING:
    from typing import Any

APPLIED = (Phase.BEFORE, Phase.GIVE)
ID_BYTES = 4  # of an operation's id: it stands in names that users read, beside the second of the start


@frozen
class Brief:
    """What is asked of the planner. Once the steps are known, `checks` says what else speaks against them.

    It gets the steps that are applied, and what others hold of their resources in another way. Only what is to `return`
    has a way back: of the others stays what they made.
    """

    operation: str
    subject: str
    key: str
    proposals: Sequence[Proposed]
    checks: Callable[[tuple[Step, ...], Mapping[str, Entry]], Iterable[Finding]]
    proof: tuple[Condition, ...] = ()
    findings: tuple[Finding, ...] = ()
    limits: Limits = field(default_factory=Limits)
    unfinished: Unfinished = Unfinished.UNDO
    notes: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""  # marks what the steps make; one is made up where it is empty


def new_id() -> str:
    """An id that no other operation has."""
    return os.urandom(ID_BYTES).hex()


def make_plan(brief: Brief, host: Host, ledger: Ledger) -> Plan:
    """The plan for `brief`, with every finding at once. Raises Refused when the proposals contradict each other."""
    proposals, identifier = ordered(merged(brief.proposals)), brief.id or new_id()
    steps = tuple(_step(item, host, ledger, brief.key, identifier) for item in proposals)
    applied = tuple(step for step in steps if step.phase in APPLIED)
    held = tuple(step for step in steps if step.phase is Phase.RUNNING)
    returns = tuple(step for step in steps if step.phase in (Phase.RETURN, Phase.AFTER))
    return Plan(
        operation=brief.operation, subject=brief.subject, key=brief.key, id=identifier,
        steps=applied,
        held=held,
        returns=returns,
        way_back=way_back((*applied, *held), returns) if brief.unfinished is Unfinished.RETURN else (),
        proof=brief.proof,
        findings=tuple(dict.fromkeys(_findings(brief, proposals, applied, host, ledger))),
        limits=brief.limits,
        unfinished=brief.unfinished,
        notes=brief.notes,
    )  # fmt: skip


def _step(item: Proposed, host: Host, ledger: Ledger, key: str, identifier: str) -> Step:
    proposal, form = item.step, kind(item.step.kind)
    resource = form.resource(proposal.params)
    held = ledger.entry(proposal.kind, resource)
    shared = held is not None and any(holder != key for holder in held.holders)
    return Step(
        id=proposal.id, kind=proposal.kind, params=dict(proposal.params), reason=proposal.reason,
        phase=proposal.phase, resource=resource,
        baseline=dict(held.baseline if held and shared else _baseline(form, proposal, host, identifier)),
        undo=form.undo_of(proposal.params), scope=strongest(form.scope, proposal.scope),
        lifetime=strongest(form.lifetime_of(proposal.params), proposal.lifetime), plugin=item.plugin,
        deadline=proposal.deadline, releases=proposal.promises, best_effort=proposal.best_effort,
        stall=proposal.stall, touches=form.touches(proposal.params),
    )  # fmt: skip


def _baseline(form: Kind, proposal: StepProposal, host: Host, identifier: str) -> Json:
    """What is to be put back, and the mark by which an undo knows what this operation has made."""
    mark = {"operation": identifier} if form.marks else {}
    return {**form.baseline(proposal.params, host), **mark}


def _findings(
    brief: Brief, proposals: Sequence[Proposed], steps: tuple[Step, ...], host: Host, ledger: Ledger
) -> Iterable[Finding]:
    yield from brief.findings
    for item in proposals:
        yield from kind(item.step.kind).check(item.step, host)
    yield from brief.checks(steps, ledger.conflicts(steps, brief.key))
