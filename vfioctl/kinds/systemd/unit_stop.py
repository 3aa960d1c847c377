"""unit.stop: stops a systemd unit and starts it again on the way back, when it ran before.

The display manager is killed when it does not end by itself (kinds/systemd/unit_kill.py).
"""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.kinds.systemd import units
from vfioctl.txn.shape import COUNT, FLAG, UNIT, Shape, maybe, optional
from vfioctl.txn.step import Undo

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step


class UnitStop(units.UnitChange):
    """{unit, uid?, restart?, passing?}; uid names the user whose manager has it; restart false: nothing starts it
    again; passing: a later step of the same prepare does, so no guest holds it"""

    name = units.STOP
    summary = "Stops a systemd unit of the system or of a user manager; the undo starts it when it ran before."
    undo_class = Undo.RECREATED
    restarts = True
    takes = Shape(unit=UNIT, uid=optional(maybe(COUNT)), restart=optional(FLAG), passing=optional(FLAG))
    keeps = Shape(active=FLAG)

    def baseline(self, params: Json, host: Host) -> Json:
        return super().baseline(params, host) if params.get("restart", True) else {"active": False}

    def apply(self, step: Step, machine: Machine) -> str | None:
        return units.stop(step.params, machine, deadline=step.deadline, releases=step.releases)

    def undo(self, step: Step, machine: Machine) -> str | None:
        if not step.params.get("restart", True):
            return f"{units.title(step.params)} comes back with its session, not by itself"
        if not step.baseline["active"]:
            return f"{units.title(step.params)} did not run before"
        return units.start(step.params, machine, deadline=step.deadline, releases=step.releases)

    def render_undo(self, step: Step, paths: Paths) -> tuple[str, ...]:  # noqa: ARG002
        return (units.rendered("unit_back", step),) if step.baseline["active"] else ()


KIND = UnitStop()
