"""unit.hold: the main process of a unit stands still for a part of a prepare, and starts nothing anew meanwhile."""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed
from vfioctl.kinds.common import Primitive, run
from vfioctl.kinds.systemd import units
from vfioctl.shell import call
from vfioctl.txn.shape import UNIT, Shape
from vfioctl.txn.step import Lifetime, Scope, State, Undo

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vfioctl.findings import Finding
    from vfioctl.host.host import Host
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step, StepProposal

# Versions that call it --kill-whom (252 and later) take it as its abbreviation.
KILL = ("systemctl", "kill", "--kill-who=main")


class UnitHold(Primitive):
    """{unit}; a later step of the same prepare stops the unit, so no guest holds it: each undo lets it go on"""

    name = "unit.hold"
    summary = "Has the main process of a systemd unit stand still (SIGSTOP); the undo has it go on."
    undo_class = Undo.EXACT
    scope = Scope.LEASE
    lifetime = Lifetime.BOOT
    blind = True  # one that waits in the kernel stands still only later: its state tells nothing
    takes = Shape(unit=UNIT)
    keeps = Shape()

    def resource(self, params: Json) -> str:  # noqa: ARG002
        return ""

    def touches(self, params: Json) -> tuple[str, ...]:
        return (units.resource(params),)

    def put_back(self, params: Json) -> str:
        return f"{params['unit']} goes on"

    def baseline(self, params: Json, host: Host) -> Json:  # noqa: ARG002
        return {}

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:
        return units.check(proposal, host)

    def apply(self, step: Step, machine: Machine) -> str | None:
        return _signal(step, machine, "SIGSTOP")

    def probe(self, step: Step, machine: Machine) -> State:  # noqa: ARG002
        """Its undo is run whenever the journal says that it was begun: SIGCONT does nothing to one that runs."""
        return State.BETWEEN

    def undo(self, step: Step, machine: Machine) -> str | None:
        return _signal(step, machine, "SIGCONT")

    def render_undo(self, step: Step, paths: Paths) -> tuple[str, ...]:  # noqa: ARG002
        return (call("unit_goes_on", step.params["unit"]),)


def _signal(step: Step, machine: Machine, signal: str) -> str | None:
    """Send it; why there was nobody to send it to, or None. systemd refuses that where no main process is known."""
    unit = step.params["unit"]
    if units.look(step.params, machine).main_pid:
        try:
            run(machine, (*KILL, f"--signal={signal}", "--", unit), deadline=step.deadline, code="unit.hold_failed")
        except StepFailed:
            if units.look(step.params, machine).main_pid:
                raise
        else:
            return None
    return f"{unit} has no main process"


KIND = UnitHold()
