"""session.end: ends one logind session and waits until it is gone. Never ends another one with the same id."""

from __future__ import annotations

from collections.abc import Iterable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import DeadlineExceeded, StepFailed, VfioctlError
from vfioctl.findings import Finding
from vfioctl.host.processes import is_alive
from vfioctl.kinds.common import Primitive, run
from vfioctl.kinds.conditions import unit_now
from vfioctl.kinds.systemd.unit_kill import PATIENCE
from vfioctl.log import plain
from vfioctl.txn.clock import Deadline
from vfioctl.txn.shape import COUNT, NAME, PID, TEXT, Shape, maybe, optional
from vfioctl.txn.step import Lifetime, Scope, State, Undo
from vfioctl.wait import until

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.host.model import Session
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step, StepProposal

NOTIFY_SECONDS = 3.0
SERVICE = "org.freedesktop.Notifications"
TITLE = "Your session ends now"


class SessionEnd(Primitive):
    """{session, user, uid, leader, start_time, scope, warning?}; warning is shown on the user's screen before"""

    name = "session.end"
    summary = "Ends a login session with everything that runs in it; nothing brings it back."
    undo_class = Undo.NONE
    one_way = True
    scope = Scope.LEASE
    lifetime = Lifetime.BOOT
    takes = Shape(
        session=NAME, user=TEXT, uid=COUNT, leader=PID, start_time=COUNT, scope=optional(maybe(TEXT)),
        warning=optional(maybe(TEXT)),
    )  # fmt: skip
    keeps = Shape()

    def resource(self, params: Json) -> str:
        return f"session:{params['session']}"

    def baseline(self, params: Json, host: Host) -> Json:  # noqa: ARG002
        return {}

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:  # noqa: ARG002
        if not host.booted_with_systemd():
            yield Finding("systemd.missing", "systemd-logind does not run here, so no session can be ended.")

    def guard(self, step: Step, machine: Machine) -> None:
        """Sessions are named by small numbers that logind may give again: look that it is still the planned one."""
        params = step.params
        session = _session(step, machine)
        if session and session.leader != params["leader"] and not _leader_lives(step, machine):
            raise StepFailed(
                "session.other",
                f"Session {params['session']} is now one of {session.user}, not the planned one of {params['user']}.",
                hints=("Start the guest again: the plan is made anew.",),
            )

    def apply(self, step: Step, machine: Machine) -> str | None:
        name = step.params["session"]
        if _session(step, machine) is None:
            return f"session {name} of {step.params['user']} has ended already"
        deadline = Deadline(step.deadline)
        _warn(step, machine, deadline)
        run(machine, ("loginctl", "terminate-session", "--", name), deadline=deadline.left, code="session.end_failed")
        if until(lambda: _session(step, machine) is None, deadline.left * PATIENCE):
            return None
        return _end_leader(step, machine, deadline)

    def probe(self, step: Step, machine: Machine) -> State:
        session = _session(step, machine)
        if session is None:
            return State.AFTER
        return State.BETWEEN if session.state == "closing" else State.BEFORE

    def undo(self, step: Step, machine: Machine) -> str | None:  # noqa: ARG002
        return f"the session of {step.params['user']} cannot be brought back"


def _end_leader(step: Step, machine: Machine, deadline: Deadline) -> str:
    """Kill the session's leader, and say so. It is what logs in (a display manager's worker, login(1)): it has no data.

    The user's programs have the time that systemd gives them (TimeoutStopSec=): one may be writing still.
    """
    name, user = step.params["session"], step.params["user"]
    machine.programs.run(("loginctl", "kill-session", "--kill-who=leader", "--signal=SIGKILL", "--", name),
                         deadline=deadline.left)  # fails when the session has ended meanwhile  # fmt: skip
    if until(lambda: _session(step, machine) is None, deadline.left):
        return f"session {name} of {user} did not end in time: its leader was killed"
    scope = step.params.get("scope") or f"session-{name}.scope"
    raise DeadlineExceeded(
        "session.lingers", f"Session {name} of {user} did not end within {step.deadline:g} s.",
        hints=(f"See what still runs in it with: systemctl status {scope}",),
    )  # fmt: skip


def _warn(step: Step, machine: Machine, deadline: Deadline) -> None:
    """Show the warning on the user's screen where it can be done at once; that it cannot changes nothing."""
    uid, text = step.params["uid"], step.params.get("warning")
    try:
        if text and unit_now(machine, f"user@{uid}.service").is_active:  # asking the manager would start it
            machine.programs.run(notification(uid, text), deadline=min(NOTIFY_SECONDS, deadline.left / 3))
    except VfioctlError:
        return


def notification(uid: int, text: str) -> tuple[str, ...]:
    """The call that shows `text` on the screen of the user `uid`, critical so that it is seen while others are muted.

    The body is markup (Desktop Notifications Specification), so what is in `text` must not be taken for it. Arguments:
    name, id to replace, icon, title, body, no actions, one hint, and no time after which it goes.
    """
    body = plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    call = ("call", SERVICE, "/org/freedesktop/Notifications", SERVICE, "Notify", "susssasa{sv}i")
    values = ("vfioctl", "0", "dialog-warning", TITLE, body, "0", "1", "urgency", "y", "2", "0")
    where = ("--user", f"--machine={uid}@.host", f"--timeout={NOTIFY_SECONDS:g}", "--quiet")
    return ("busctl", *where, "--", *call, *values)


def _session(step: Step, machine: Machine) -> Session | None:
    return next((s for s in machine.host().sessions() if s.id == step.params["session"]), None)


def _leader_lives(step: Step, machine: Machine) -> bool:
    return is_alive(machine.paths, step.params["leader"], step.params["start_time"])


KIND = SessionEnd()
