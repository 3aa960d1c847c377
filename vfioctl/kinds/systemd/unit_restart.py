"""unit.restart: a unit that came back before what it works on is restarted once, so that it finds it."""

from __future__ import annotations

from collections.abc import Iterable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed, VfioctlError
from vfioctl.findings import Finding
from vfioctl.kinds import conditions
from vfioctl.kinds.conditions import CONDITION
from vfioctl.kinds.systemd import unit_kill, units
from vfioctl.txn.clock import Deadline
from vfioctl.txn.shape import COUNT, UNIT, Shape, many, maybe, optional
from vfioctl.txn.step import Condition, State, Undo
from vfioctl.wait import until

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step, StepProposal

GRAPHICAL = ("x11", "wayland", "mir")


class UnitRestart(units.UnitChange):
    """{unit, uid?, unless, once}; unless: a condition {kind, args} that gets half of the deadline to come true; once:
    a list of conditions without which a restart would be of no use"""

    name = "unit.restart"
    summary = "Restarts a systemd unit that runs, but without its effect; never while a user is logged in graphically."
    undo_class = Undo.NONE
    opaque = True
    takes = Shape(unit=UNIT, uid=optional(maybe(COUNT)), unless=CONDITION, once=many(CONDITION))
    keeps = Shape()

    def baseline(self, params: Json, host: Host) -> Json:  # noqa: ARG002
        return {}

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:
        yield from super().check(proposal, host)
        try:
            for item in (proposal.params["unless"], *proposal.params["once"]):
                conditions.validate(_condition(item))
        except VfioctlError as error:
            yield Finding(error.code, error.message)

    def needs(self, params: Json) -> tuple[str, str]:
        return units.STOP, self.resource(params)

    def await_apply(self, step: Step, machine: Machine) -> None:
        wanted = _condition(step.params["unless"])
        if not _useless(step, machine):
            until(lambda: conditions.evaluate(wanted, machine), step.deadline / 2)

    def apply(self, step: Step, machine: Machine) -> str | None:
        wanted = _condition(step.params["unless"])
        deadline = Deadline(step.deadline)
        if conditions.evaluate(wanted, machine):
            return f"{conditions.describe(wanted)} already"
        if why := _useless(step, machine) or _not_now(step, machine):
            raise _left(step, why)
        # Fails when nothing had failed; whether the unit may start is asked of the start itself.
        machine.programs.run(units.command(step.params, "reset-failed"), deadline=deadline.left)
        _, is_manager = unit_kill.look(step.params, machine)
        done, killed = unit_kill.carry_out(step.params, "restart", machine, deadline, may_kill=is_manager)
        if not done.ok:
            raise StepFailed("unit.start_failed", f"{done.why()}.")
        return f"it ran, but not so that {conditions.describe(wanted)}: it was restarted" + (killed and f"; {killed}")

    def probe(self, step: Step, machine: Machine) -> State:
        return State.AFTER if conditions.evaluate(_condition(step.params["unless"]), machine) else State.BEFORE

    def undo(self, step: Step, machine: Machine) -> str | None:  # noqa: ARG002
        return "a restart cannot be taken back"

    def render_undo(self, step: Step, paths: Paths) -> tuple[str, ...]:  # noqa: ARG002
        return ()


def _condition(data: Json) -> Condition:
    return Condition(data["kind"], data["args"])


def _useless(step: Step, machine: Machine) -> str:
    """Why a restart would bring nothing, however long one waits; "" when it may."""
    for condition in map(_condition, step.params["once"]):
        if not conditions.evaluate(condition, machine):
            return f"it is not so that {conditions.describe(condition)}"
    unit = units.look(step.params, machine)
    return "" if unit.is_active else f"it is {unit.active_state}"


def _not_now(step: Step, machine: Machine) -> str:
    """Why a restart would do harm: a session on another card would end with the unit."""
    unit = units.look(step.params, machine)
    if unit.active_state != "active" or unit.job:
        return f"it is {unit.active_state}"
    for session in machine.host().sessions():
        if session.klass == "user" and session.type in GRAPHICAL and session.seat and not session.remote:
            return f"{session.user} is logged in on {session.seat}"
    return ""


def _left(step: Step, why: str) -> StepFailed:
    title = units.title(step.params)
    hints = () if step.params.get("uid") is not None else (f"Restart it with: systemctl restart {step.params['unit']}",)
    return StepFailed("unit.not_restarted", f"{title} was not restarted: {why}.", hints=hints)


KIND = UnitRestart()
