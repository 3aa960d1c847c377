"""unit.start: starts a systemd unit and stops it again on the way back, when it did not run before."""

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


class UnitStart(units.UnitChange):
    """{unit, uid?, passing?}; uid names the user whose manager has the unit; passing: an earlier step of the same
    prepare has stopped it, and nothing takes the start back"""

    name = "unit.start"
    summary = "Starts a systemd unit of the system or of a user manager; the undo stops it when it did not run before."
    undo_class = Undo.EXACT
    opaque = True
    takes = Shape(unit=UNIT, uid=optional(maybe(COUNT)), passing=optional(FLAG))
    keeps = Shape(active=FLAG)

    def put_back(self, params: Json) -> str:
        return "it is left alone" if params.get("passing") else ""

    def baseline(self, params: Json, host: Host) -> Json:
        return {"active": True} if params.get("passing") else super().baseline(params, host)

    def apply(self, step: Step, machine: Machine) -> str | None:
        return units.start(step.params, machine, deadline=step.deadline, releases=step.releases)

    def undo(self, step: Step, machine: Machine) -> str | None:
        if step.baseline["active"]:
            return f"{units.title(step.params)} ran before"
        return units.stop(step.params, machine, deadline=step.deadline, releases=step.releases)

    def render_undo(self, step: Step, paths: Paths) -> tuple[str, ...]:  # noqa: ARG002
        return () if step.baseline["active"] else (units.rendered("unit_away", step),)


KIND = UnitStart()
