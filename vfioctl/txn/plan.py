"""The plan as a value: ordered steps, findings and the whole way back. Reads nothing, changes nothing."""

from __future__ import annotations

from collections.abc import Container, Mapping
from enum import StrEnum

from vfioctl.checking import TYPE_CHECKING
from vfioctl.findings import Finding, Severity
from vfioctl.frozen import asdict, field, fields, frozen
from vfioctl.limits import Limits
from vfioctl.txn.kind import kind
from vfioctl.txn.step import Condition, Frees, Lifetime, Phase, Scope, Step, Undo

if TYPE_CHECKING:
    from typing import Any

SCHEMA = 3  # since 3 a plan may be of any operation; those before are translated by the one that wrote them
READABLE_SCHEMAS = (1, 2, 3)
EXPECTS = "expects"  # in the notes: those of its resources of which a hook may run meanwhile, as its own steps call it


class Action(StrEnum):
    """What the journal and the way back do with a step."""

    APPLY = "apply"
    UNDO = "undo"


class Part(StrEnum):
    """Where a piece of the way back runs: while the caller of the return waits, or after that."""

    HOOK = "hook"
    DETACHED = "detached"


@frozen
class ReturnItem:
    """One piece of the way back: the undo of a step, or a step of its own."""

    step: str
    action: Action
    part: Part


class Unfinished(StrEnum):
    """What becomes of an operation whose process is gone, also where nobody knows the operation any more."""

    UNDO = "undo"  # what was begun is undone
    FINISH = "finish"  # what is left of the steps is applied
    RETURN = "return"  # the same as undo while it is applied; afterwards its way back is run
    LEAVE = "leave"  # nothing: somebody must look at it


@frozen
class Plan:
    """What one operation does and how it returns: self-contained, so that neither plugin nor configuration is needed.

    `operation` names what sort of operation it is (txn/operation.py); `subject` what it is about, for people. `key`
    names the journal and the lock, `id` this one run, by which an undo knows what it made (schema 1 has none). `held`
    is applied after the steps, for as long as the way back is open. `notes` are the operation's own, JSON values only.
    """

    operation: str
    subject: str
    key: str
    id: str = ""
    steps: tuple[Step, ...] = ()
    held: tuple[Step, ...] = ()
    returns: tuple[Step, ...] = ()
    way_back: tuple[ReturnItem, ...] = ()
    proof: tuple[Condition, ...] = ()
    findings: tuple[Finding, ...] = ()
    limits: Limits = field(default_factory=Limits)
    unfinished: Unfinished = Unfinished.UNDO
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def blocks(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity is Severity.BLOCK)

    @property
    def point_of_no_return(self) -> str | None:
        """The id of the first step whose effect no undo restores."""
        return next((step.id for step in self.steps if kind(step.kind).one_way), None)

    def expects(self, resource: str) -> bool:
        """Whether its own steps bring about a hook of `resource`, which runs while the plan has that."""
        return resource in self.notes.get(EXPECTS, ())

    def step(self, identifier: str) -> Step:
        """The step called `identifier`; raises KeyError."""
        for step in (*self.steps, *self.held, *self.returns):
            if step.id == identifier:
                return step
        raise KeyError(identifier)

    def by_id(self) -> dict[str, Step]:
        """Every step by its id, for who asks for many."""
        return {step.id: step for step in self.all_steps()}

    def way_back_unused(self, begun: Container[str]) -> tuple[ReturnItem, ...]:
        """The way back of what was never held: what was begun is undone, both scopes, nothing else.

        Some may have come about without having been begun.
        """
        undone = (step for step in reversed(self.steps) if step.id in begun or kind(step.kind).spontaneous)
        again = (ReturnItem(step.id, Action.APPLY, Part.DETACHED) for step in self.second_looks(begun))
        return (*(ReturnItem(step.id, Action.UNDO, _part(step)) for step in undone), *again)

    def second_looks(self, begun: Container[str]) -> tuple[Step, ...]:
        """The steps of the way back that act on what begun ones have changed: it may be as it was again too early.

        A unit that was stopped may run again since before what it uses was back.
        """
        changed = {(step.kind, step.resource) for step in self.steps if step.id in begun}
        acting = (step for step in self.returns if not kind(step.kind).passive)
        return tuple(step for step in acting if kind(step.kind).needs(step.params) in changed)

    def undo_order(self) -> tuple[Step, ...]:
        """The lease steps in the order in which they are undone."""
        named = self.by_id()
        return tuple(named[item.step] for item in self.way_back if item.action is Action.UNDO)

    @property
    def resources(self) -> tuple[str, ...]:
        """Every resource that any step changes or locks, sorted: the order in which locks are taken."""
        named = {step.resource for step in self.all_steps() if step.resource}
        return tuple(sorted(named.union(*(step.touches for step in self.all_steps()))))

    @property
    def changes(self) -> tuple[Step, ...]:
        """The steps that the way back takes back: those that are applied, then those that are held after them."""
        return (*self.steps, *self.held)

    def all_steps(self) -> tuple[Step, ...]:
        return (*self.steps, *self.held, *self.returns)

    def to_json(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        """The plan that `to_json` wrote. Unknown fields of a newer minor version are dropped."""
        known = _known(cls, data)
        return cls(
            **{
                **known,
                "steps": tuple(step_from_json(step) for step in data["steps"]),
                "held": tuple(step_from_json(step) for step in data.get("held", ())),
                "returns": tuple(step_from_json(step) for step in data.get("returns", ())),
                "way_back": tuple(_return_item(item) for item in data.get("way_back", ())),
                "proof": tuple(Condition(**_known(Condition, item)) for item in data.get("proof", ())),
                "findings": tuple(_finding(item) for item in data.get("findings", ())),
                "limits": Limits(**_known(Limits, data.get("limits", {}))),
                "unfinished": Unfinished(data.get("unfinished", Unfinished.UNDO)),
            }
        )


def step_from_json(data: Mapping[str, Any]) -> Step:
    """One step as JSON, read back with its enums and tuples."""
    return Step(
        **{
            **_known(Step, data),
            "phase": Phase(data["phase"]),
            "undo": Undo(data["undo"]),
            "scope": Scope(data["scope"]),
            "lifetime": Lifetime(data["lifetime"]),
            "releases": tuple(Frees(**item) for item in data.get("releases", ())),
            "touches": tuple(data.get("touches", ())),
        }
    )


def way_back(steps: tuple[Step, ...], returns: tuple[Step, ...]) -> tuple[ReturnItem, ...]:
    """The whole return: what was given comes back while the caller waits, the rest after it."""
    leases = [step for step in reversed(steps) if step.scope is Scope.LEASE]
    undone = [ReturnItem(step.id, Action.UNDO, _part(step)) for step in leases]
    return (*undone, *(ReturnItem(step.id, Action.APPLY, Part.DETACHED) for step in returns))


def _part(step: Step) -> Part:
    return Part.HOOK if step.phase is Phase.GIVE else Part.DETACHED


def _known(cls: type, data: Mapping[str, Any]) -> dict[str, Any]:
    names = {item.name for item in fields(cls)}
    return {key: value for key, value in data.items() if key in names}


def _return_item(data: Mapping[str, Any]) -> ReturnItem:
    return ReturnItem(data["step"], Action(data["action"]), Part(data["part"]))


def _finding(data: Mapping[str, Any]) -> Finding:
    return Finding(**{**_known(Finding, data), "severity": Severity(data["severity"])})
