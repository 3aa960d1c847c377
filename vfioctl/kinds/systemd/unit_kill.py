"""A display manager that does not stop is killed. No other unit ever is: a service may still have data to write.

A display manager has none: its users' sessions have ended before, by steps of their own, and what is left of it are
login screens. What systemd was asked for goes on when the client that asked is gone, so it can be asked once more.
"""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import DeadlineExceeded, StepFailed
from vfioctl.host.units import systemctl
from vfioctl.kinds.conditions import unit_now
from vfioctl.wait import until

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vfioctl.host.model import Unit
    from vfioctl.proc import Completed
    from vfioctl.txn.clock import Deadline
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Frees, Json

ALIAS = "display-manager.service"
PATIENCE = 2 / 3  # of the time belongs to the unit, to end by itself
ALONE = 1 / 3  # of the rest, to end without the login screen that it may wait for


def look(params: Json, machine: Machine) -> tuple[Unit, bool]:
    """The unit as it is now, and whether it is the display manager; one program tells both."""
    if params.get("uid") is not None:
        return unit_now(machine, params["unit"], params["uid"]), False
    unit, *others = machine.host().units((params["unit"], ALIAS))
    return unit, all(manager.exists and manager.name == unit.name for manager in others)


def is_stopping(params: Json, machine: Machine) -> bool:
    """Whether the unit's stop has begun and not ended. A start waits for that (service_start() in systemd)."""
    return unit_now(machine, params["unit"], params.get("uid")).active_state == "deactivating"


def carry_out(
    params: Json, verb: str, machine: Machine, deadline: Deadline, *, may_kill: bool, releases: Iterable[Frees] = ()
) -> tuple[Completed, str]:
    """Run `systemctl VERB` on the unit, and say what had to be killed for it; "": nothing.

    `releases` names the login screens that end with it. Raises StepFailed, DeadlineExceeded.
    """
    argv = (*systemctl(params.get("uid")), verb, "--", params["unit"])
    if not may_kill:
        return machine.programs.run(argv, deadline=deadline.left), ""
    patience = deadline.left * PATIENCE
    try:
        return machine.programs.run(argv, deadline=patience), ""
    except DeadlineExceeded:
        killed = _end(params, machine, deadline, releases) if is_stopping(params, machine) else ""
    said = f"{params['unit']} did not stop within {round(patience, 1):g} s and {killed}" if killed else ""
    try:
        return machine.programs.run(argv, deadline=deadline.left), said
    except DeadlineExceeded:
        if killed and is_stopping(params, machine):
            raise DeadlineExceeded("unit.runs", f"{said}, but has not ended.") from None
        raise


def _end(params: Json, machine: Machine, deadline: Deadline, releases: Iterable[Frees]) -> str:
    """Kill the login screens, and the unit itself when it does not end without them; return what was done."""
    if scopes := _login_screens(machine, {one.session for one in releases}):
        machine.programs.run(_kill(*scopes), deadline=deadline.left)  # fails when they have ended meanwhile
        if until(lambda: not is_stopping(params, machine), deadline.left * ALONE):
            return f"ended when its login screen ({', '.join(scopes)}) was killed"
    killed = machine.programs.run(_kill(params["unit"]), deadline=deadline.left)
    if not killed.ok:
        raise StepFailed("unit.stop_failed", f"{killed.why()}.")
    return "was killed"


def _login_screens(machine: Machine, ids: set[str | None]) -> tuple[str, ...]:
    """The scopes of those of the sessions `ids` that are login screens: logind may have given a number again."""
    named = (one for one in machine.host().sessions() if one.id in ids and one.is_greeter)
    return tuple(one.scope for one in named if one.scope)


def _kill(*units: str) -> tuple[str, ...]:
    """Ends every process of their control groups, whatever KillMode= says (systemctl(1), kill)."""
    return ("systemctl", "kill", "--signal=SIGKILL", "--", *units)
