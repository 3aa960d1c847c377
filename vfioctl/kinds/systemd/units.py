"""systemd units as unit.stop and unit.start change them: what to run, and the proof that it had effect."""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import DeadlineExceeded, StepFailed
from vfioctl.findings import Finding
from vfioctl.host.units import systemctl
from vfioctl.kinds.common import Primitive, seconds
from vfioctl.kinds.conditions import unit_now
from vfioctl.kinds.systemd import unit_kill
from vfioctl.shell import call
from vfioctl.txn.clock import Deadline
from vfioctl.txn.step import Lifetime, Scope, State
from vfioctl.wait import until

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vfioctl.host.host import Host
    from vfioctl.host.model import Unit
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Frees, Json, Step, StepProposal

STOP = "unit.stop"  # what needs a unit to run is in vain while another guest holds it stopped


class UnitChange(Primitive):
    """What starting and stopping share. The unit is {unit, uid?}; uid names the user whose manager has it.

    `passing`: it is stopped and started again within one prepare. Then no guest holds it: another one may do the same
    meanwhile, and each undo starts it.
    """

    scope = Scope.LEASE
    lifetime = Lifetime.BOOT

    def resource(self, params: Json) -> str:
        return "" if params.get("passing") else resource(params)

    def touches(self, params: Json) -> tuple[str, ...]:
        return (resource(params),) if params.get("passing") else ()

    def baseline(self, params: Json, host: Host) -> Json:
        return {"active": host.unit(params["unit"], params.get("uid")).is_active}

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:
        return check(proposal, host)

    def probe(self, step: Step, machine: Machine) -> State:
        unit = look(step.params, machine)
        if unit.active_state in ("activating", "deactivating") or unit.job:
            return State.BETWEEN
        return State.BEFORE if unit.is_active == step.baseline["active"] else State.AFTER


def rendered(function: str, step: Step) -> str:
    """The call of a shell function on the step's unit."""
    uid = step.params.get("uid")
    return call(function, step.params["unit"], "" if uid is None else str(uid), seconds(step))


def resource(params: Json) -> str:
    uid = params.get("uid")
    return f"unit:{params['unit']}" if uid is None else f"unit:{uid}:{params['unit']}"


def title(params: Json) -> str:
    """The unit in words."""
    uid = params.get("uid")
    return params["unit"] if uid is None else f"{params['unit']} of user {uid}"


def command(params: Json, verb: str) -> tuple[str, ...]:
    """The program and arguments for `verb` on the unit."""
    return (*systemctl(params.get("uid")), verb, "--", params["unit"])


def look(params: Json, machine: Machine) -> Unit:
    return unit_now(machine, params["unit"], params.get("uid"))


def check(proposal: StepProposal, host: Host) -> Iterable[Finding]:
    params = proposal.params
    if not host.booted_with_systemd():
        yield Finding("systemd.missing", f"systemd does not run here, so {title(params)} cannot be changed.")
    elif not host.unit(params["unit"], params.get("uid")).exists:
        yield Finding("unit.unknown", f"There is no unit {title(params)}.", hint="See: systemctl list-units")


def stop(params: Json, machine: Machine, *, deadline: float, releases: tuple[Frees, ...] = ()) -> str | None:
    """Stop the unit and see it inactive; the display manager is killed when it does not end. `releases` are the step's.

    Raises StepFailed, DeadlineExceeded.
    """
    unit, is_manager = unit_kill.look(params, machine)
    if not _runs(unit):
        return f"{title(params)} does not run"
    end = Deadline(deadline)
    done, killed = unit_kill.carry_out(params, "stop", machine, end, may_kill=is_manager, releases=releases)
    if not done.ok:
        raise StepFailed("unit.stop_failed", f"{done.why()}.")
    if not until(lambda: not _runs(look(params, machine)), end.left):
        raise DeadlineExceeded("unit.runs", f"{title(params)} was stopped, but runs again or still.")
    return killed or None


def start(params: Json, machine: Machine, *, deadline: float, releases: tuple[Frees, ...] = ()) -> str | None:
    """Start the unit, forgetting earlier failures first, which would count against it. Raises StepFailed.

    One that is still stopping starts when that has ended; the display manager is killed for it, as by `stop`.
    """
    unit, is_manager = unit_kill.look(params, machine)
    if params.get("uid") is not None and not unit.exists:
        return f"{title(params)} went with its user manager"
    if _is_up(unit):
        return f"{title(params)} already runs"
    end = Deadline(deadline)
    # Fails when nothing had failed; whether the unit may start is asked of the start itself.
    machine.programs.run(command(params, "reset-failed"), deadline=end.left)
    try:
        done, killed = unit_kill.carry_out(params, "start", machine, end, may_kill=is_manager, releases=releases)
    except DeadlineExceeded as error:
        raise _late(params, machine, error) from None
    if not done.ok:
        if _shuts_down(machine, end):
            return f"the host is shutting down, so {title(params)} is not started"
        raise StepFailed("unit.start_failed", f"{done.why()}.")
    if not until(lambda: _is_up(look(params, machine)), end.left):
        unit = look(params, machine)
        raise StepFailed("unit.start_failed", f"{title(params)} was started, but is {unit.active_state}.")
    return killed or None


def _late(params: Json, machine: Machine, error: DeadlineExceeded) -> DeadlineExceeded:
    """Why a start did not end in its time: nobody may think that it was given up."""
    if error.code == "unit.runs" or not unit_kill.is_stopping(params, machine):
        return error
    said = f"{title(params)} has not stopped yet. systemd starts it as soon as it has."
    hint = f"See what it waits for with: {' '.join(command(params, 'status'))}"
    return DeadlineExceeded("unit.stopping", said, hints=(hint,))


def _shuts_down(machine: Machine, deadline: Deadline) -> bool:
    """Whether the system goes down: systemd refuses new jobs then, and nobody would see the desktop anyway."""
    return machine.programs.run(("systemctl", "is-system-running"), deadline=deadline.left).stdout.strip() == "stopping"


def _runs(unit: Unit) -> bool:
    """A unit that is still stopping keeps its processes, so it counts."""
    return unit.is_active or unit.active_state == "deactivating"


def _is_up(unit: Unit) -> bool:
    """Active, or about to be; one with a queued stop is not, nor one that has to stop first."""
    return unit.is_active and unit.job != "stop" and unit.active_state != "deactivating"
