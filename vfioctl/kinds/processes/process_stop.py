"""process.stop: ends one process, first by SIGTERM, then by SIGKILL. Never PID 1 or logind, never by name."""

from __future__ import annotations

from collections.abc import Iterable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import DeadlineExceeded, StepFailed
from vfioctl.findings import Finding
from vfioctl.host.processes import comm, is_alive
from vfioctl.kinds.common import Primitive
from vfioctl.txn.clock import Deadline
from vfioctl.txn.shape import COUNT, PID, TEXT, Shape
from vfioctl.txn.step import Lifetime, Scope, State, Undo
from vfioctl.wait import until

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step, StepProposal

UNTOUCHABLE = ("systemd-logind", "elogind")
POLITE = 0.6  # the share of the deadline in which a process may end by itself


class ProcessStop(Primitive):
    """{pid, start_time, comm}; pid and start time together name the process"""

    name = "process.stop"
    summary = "Ends a process: SIGTERM, and SIGKILL when most of the deadline has passed."
    undo_class = Undo.NONE
    scope = Scope.LEASE
    lifetime = Lifetime.BOOT
    takes = Shape(pid=PID, start_time=COUNT, comm=TEXT)
    keeps = Shape()

    def resource(self, params: Json) -> str:
        return f"process:{params['pid']}:{params['start_time']}"

    def baseline(self, params: Json, host: Host) -> Json:  # noqa: ARG002
        return {}

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:  # noqa: ARG002
        if _is_untouchable(proposal.params["pid"], proposal.params["comm"]):
            yield Finding("process.untouchable", f"{_title(proposal.params)} is never ended by vfioctl.")

    def guard(self, step: Step, machine: Machine) -> None:
        pid = step.params["pid"]
        if _lives(step, machine) and _is_untouchable(pid, comm(machine.paths, pid)):
            raise StepFailed("process.untouchable", f"{_title(step.params)} is never ended by vfioctl.")

    def apply(self, step: Step, machine: Machine) -> str | None:
        if not _lives(step, machine):
            return f"{_title(step.params)} has ended already"
        deadline = Deadline(step.deadline)
        _signal(step, machine, "TERM", deadline)
        if until(lambda: not _lives(step, machine), deadline.left * POLITE):
            return None
        _signal(step, machine, "KILL", deadline)
        if not until(lambda: not _lives(step, machine), deadline.left):
            raise DeadlineExceeded(
                "process.stays", f"{_title(step.params)} does not end, not even by SIGKILL: it waits in the kernel."
            )
        return None

    def probe(self, step: Step, machine: Machine) -> State:
        return State.BEFORE if _lives(step, machine) else State.AFTER

    def undo(self, step: Step, machine: Machine) -> str | None:  # noqa: ARG002
        return f"{_title(step.params)} cannot be brought back"


def _title(params: Json) -> str:
    return f"Process {params['pid']} ({params['comm']})"


def _is_untouchable(pid: int, name: str) -> bool:
    return pid <= 1 or name in UNTOUCHABLE


def _lives(step: Step, machine: Machine) -> bool:
    return is_alive(machine.paths, step.params["pid"], step.params["start_time"])


def _signal(step: Step, machine: Machine, name: str, deadline: Deadline) -> None:
    """Send it by kill(1); a process that went meanwhile is no error."""
    done = machine.programs.run(("kill", "-s", name, "--", str(step.params["pid"])), deadline=deadline.left)
    if not done.ok and _lives(step, machine):
        raise StepFailed("process.signal", f"{_title(step.params)} could not be ended: {done.why()}.")


KIND = ProcessStop()
