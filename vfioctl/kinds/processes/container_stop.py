"""container.stop: stops a container through its own tool, and starts it again by name, when it ran before.

It lives on the disk: Docker keeps that a container was stopped, and then does not start one with the restart policy
unless-stopped at the next boot. One that was removed meanwhile, or whose tool was, has nothing to be put back.
"""

from __future__ import annotations

from collections.abc import Iterable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import DeadlineExceeded, StepFailed
from vfioctl.findings import Finding
from vfioctl.host import container_tools
from vfioctl.host.container_tools import Seen, Which
from vfioctl.kinds.common import Primitive, run, seconds
from vfioctl.shell import call
from vfioctl.txn.clock import Deadline
from vfioctl.txn.shape import FLAG, NAME, TEXT, Shape, one_of, optional
from vfioctl.txn.step import Lifetime, Scope, State, Undo
from vfioctl.wait import until

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step, StepProposal

POLITE = 0.6  # the share of the deadline in which it may end by itself; then its tool kills it


class ContainerStop(Primitive):
    """{tool, name, user?}; tool is docker or podman; user has it, when it is rootless"""

    name = "container.stop"
    summary = "Stops a container through docker or podman; the undo starts it by name when it ran and was not removed."
    undo_class = Undo.RECREATED
    scope = Scope.LEASE
    lifetime = Lifetime.DISK
    takes = Shape(tool=one_of(*container_tools.TOOLS), name=NAME, user=optional(TEXT))
    keeps = Shape(active=FLAG)

    def resource(self, params: Json) -> str:
        owner = f"{params['user']}/" if params.get("user") else ""
        return f"container:{params['tool']}:{owner}{params['name']}"

    def baseline(self, params: Json, host: Host) -> Json:
        seen = host.container(_which(params))
        return {"active": bool(seen and seen.runs)}

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:
        if host.programs.find(proposal.params["tool"]) is None:
            yield Finding("program.missing", f"The program {proposal.params['tool']} is not installed.")

    def apply(self, step: Step, machine: Machine) -> str | None:
        which = _which(step.params)
        if not _runs(look(step, machine)):
            return f"the {which.title} does not run"
        deadline = Deadline(step.deadline)
        patience = str(max(1, int(step.deadline * POLITE)))
        argv = container_tools.command(which, machine.paths, "stop", "-t", patience, "--", which.name)
        run(machine, argv, deadline=deadline.left, code="container.stop_failed")
        if not until(lambda: not _runs(look(step, machine)), deadline.left):
            raise DeadlineExceeded("container.runs", f"The {which.title} was stopped, but runs again or still.")
        return None

    def probe(self, step: Step, machine: Machine) -> State:
        runs = _has_tool(step, machine) and _runs(look(step, machine))
        return State.BEFORE if runs == step.baseline["active"] else State.AFTER

    def undo(self, step: Step, machine: Machine) -> str | None:
        which = _which(step.params)
        if not step.baseline["active"]:
            return f"the {which.title} did not run before"
        if not _has_tool(step, machine):
            return f"the {which.title} is not there any more, nor is {which.tool}"
        if _runs(look(step, machine)):
            return f"the {which.title} already runs"
        deadline = Deadline(step.deadline)
        argv = container_tools.command(which, machine.paths, "start", "--", which.name)
        started = machine.programs.without_locks().run(argv, deadline=deadline.left)
        if not started.ok:
            if container_tools.tells_absence(started) and look(step, machine) is None:
                return f"the {which.title} is not there any more"
            raise StepFailed("container.start_failed", f"{started.why()}.")
        if not until(lambda: _runs(look(step, machine)), deadline.left):
            raise StepFailed("container.start_failed", f"The {which.title} was started, but does not run.")
        return None

    def render_undo(self, step: Step, paths: Paths) -> tuple[str, ...]:
        """A start of a running container does nothing, with both tools."""
        if not step.baseline["active"]:
            return ()
        which = _which(step.params)
        argv = container_tools.command(which, paths)
        return (call("container_back", which.tool, which.name, seconds(step), *argv),)


def _which(params: Json) -> Which:
    return Which(params["tool"], params["name"], params.get("user", ""))


def look(step: Step, machine: Machine) -> Seen | None:
    """The step's container as it is now."""
    patience = max(container_tools.SECONDS, step.deadline)  # Docker's socket waits for the daemon at boot
    return container_tools.look(machine.host(), _which(step.params), deadline=patience)


def _has_tool(step: Step, machine: Machine) -> bool:
    """Whether docker or podman is still there; the check has seen it."""
    return machine.programs.find(step.params["tool"]) is not None


def _runs(seen: Seen | None) -> bool:
    return seen is not None and seen.runs


KIND = ContainerStop()
