"""wait.until: waits for one condition of the closed vocabulary. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import DeadlineExceeded, VfioctlError
from vfioctl.findings import Finding
from vfioctl.kinds import conditions
from vfioctl.kinds.common import Primitive
from vfioctl.kinds.conditions import CONDITION
from vfioctl.kinds.systemd import units
from vfioctl.txn.shape import Shape
from vfioctl.txn.step import Condition, Lifetime, Scope, State, Undo
from vfioctl.wait import until

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step, StepProposal


class WaitUntil(Primitive):
    """{condition: {kind, args}}"""

    name = "wait.until"
    summary = "Waits until a condition holds; changes nothing, so there is nothing to undo."
    undo_class = Undo.EXACT
    passive = True
    scope = Scope.LEASE
    lifetime = Lifetime.BOOT
    takes = Shape(condition=CONDITION)
    keeps = Shape()

    def resource(self, params: Json) -> str:  # noqa: ARG002
        """It changes nothing, so there is nothing to lock."""
        return ""

    def needs(self, params: Json) -> tuple[str, str]:
        """The unit that must run for it: that is active, or whose processes have a device open."""
        condition = _condition(params)
        args = condition.args
        if condition.kind == "unit.state" and args["state"] == "active":
            return units.STOP, units.resource(args)
        by = args.get("by") if condition.kind == "has.holder" else None
        return (units.STOP, units.resource({"unit": by})) if by else ("", "")

    def baseline(self, params: Json, host: Host) -> Json:  # noqa: ARG002
        return {}

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:  # noqa: ARG002
        try:
            conditions.validate(_condition(proposal.params))
        except VfioctlError as error:
            yield Finding(error.code, error.message)

    def apply(self, step: Step, machine: Machine) -> str | None:
        condition = _condition(step.params)
        if conditions.evaluate(condition, machine):
            return f"{conditions.describe(condition)} already"
        if until(lambda: conditions.evaluate(condition, machine), step.deadline):
            return None
        raise DeadlineExceeded(
            "wait.deadline",
            f"Waited {step.deadline:g} s in vain: {conditions.describe(condition)}."
            f"{conditions.explain(condition, machine)}",
        )

    def probe(self, step: Step, machine: Machine) -> State:
        return State.AFTER if conditions.evaluate(_condition(step.params), machine) else State.BEFORE

    def undo(self, step: Step, machine: Machine) -> str | None:  # noqa: ARG002
        return "a wait changes nothing"


def _condition(params: Json) -> Condition:
    return Condition(params["condition"]["kind"], params["condition"]["args"])


KIND = WaitUntil()
