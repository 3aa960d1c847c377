"""unit.start: starts a systemd unit and stops it again on the way back, when it did not run before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from vfioctl.txn.sh_quote import call
from vfioctl.txn.step import Lifetime, Scope, State, Undo
from vfioctl.txn.steps import units
from vfioctl.txn.steps.common import Primitive, seconds

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Finding, Json, Step, StepProposal


class UnitStart(Primitive):
    """{unit, uid?}; uid names the user whose manager has the unit"""

    name = "unit.start"
    summary = "Starts a systemd unit of the system or of a user manager; the undo stops it when it did not run before."
    undo_class = Undo.EXACT
    scope = Scope.LEASE
    lifetime = Lifetime.BOOT

    def resource(self, params: Json) -> str:
        return units.resource(params)

    def baseline(self, params: Json, host: Host) -> Json:
        return {"active": host.unit(params["unit"], params.get("uid")).is_active}

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:
        return units.check(proposal, host)

    def apply(self, step: Step, machine: Machine) -> str | None:
        return units.start(step.params, machine, deadline=step.deadline)

    def probe(self, step: Step, machine: Machine) -> State:
        unit = units.look(step.params, machine)
        if unit.active_state in ("activating", "deactivating") or unit.job:
            return State.BETWEEN
        return State.BEFORE if unit.is_active == step.baseline["active"] else State.AFTER

    def undo(self, step: Step, machine: Machine) -> str | None:
        if step.baseline["active"]:
            return f"{units.title(step.params)} ran before"
        return units.stop(step.params, machine, deadline=step.deadline)

    def render_undo(self, step: Step, paths: Paths) -> tuple[str, ...]:  # noqa: ARG002
        if step.baseline["active"]:
            return ()
        uid = step.params.get("uid")
        return (call("unit_away", step.params["unit"], "" if uid is None else str(uid), seconds(step)),)


KIND = UnitStart()
