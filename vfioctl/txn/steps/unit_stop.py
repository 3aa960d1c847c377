"""unit.stop: stops a systemd unit and starts it again on the way back, when it ran before."""

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


class UnitStop(Primitive):
    """{unit, uid?, restart?}; uid names the user whose manager has it; restart false: nothing starts it again"""

    name = "unit.stop"
    summary = "Stops a systemd unit of the system or of a user manager; the undo starts it when it ran before."
    undo_class = Undo.RECREATED
    scope = Scope.LEASE
    lifetime = Lifetime.BOOT

    def resource(self, params: Json) -> str:
        return units.resource(params)

    def baseline(self, params: Json, host: Host) -> Json:
        return {"active": params.get("restart", True) and host.unit(params["unit"], params.get("uid")).is_active}

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:
        return units.check(proposal, host)

    def apply(self, step: Step, machine: Machine) -> str | None:
        return units.stop(step.params, machine, deadline=step.deadline)

    def probe(self, step: Step, machine: Machine) -> State:
        unit = units.look(step.params, machine)
        if unit.active_state in ("activating", "deactivating") or unit.job:
            return State.BETWEEN
        return State.BEFORE if unit.is_active == step.baseline["active"] else State.AFTER

    def undo(self, step: Step, machine: Machine) -> str | None:
        if not step.params.get("restart", True):
            return f"{units.title(step.params)} comes back with its session, not by itself"
        if not step.baseline["active"]:
            return f"{units.title(step.params)} did not run before"
        return units.start(step.params, machine, deadline=step.deadline)

    def render_undo(self, step: Step, paths: Paths) -> tuple[str, ...]:  # noqa: ARG002
        if not step.baseline["active"]:
            return ()
        uid = step.params.get("uid")
        return (call("unit_back", step.params["unit"], "" if uid is None else str(uid), seconds(step)),)


KIND = UnitStop()
