"""command.run: runs a program of the configuration, and another one to undo it. Knows nothing of its effect."""

from __future__ import annotations

from collections.abc import Iterable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.findings import Finding
from vfioctl.kinds.common import FAILED, Primitive, begin, run, seconds
from vfioctl.shell import call
from vfioctl.txn.shape import ARGV, Shape, maybe, optional
from vfioctl.txn.step import Lifetime, Scope, State, Undo

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step, StepProposal


class CommandRun(Primitive):
    """{argv, undo_argv?}; the undo command must bear being run twice, and after its command has failed"""

    name = "command.run"
    summary = "Runs a program, and on the way back its undo program; without one its effect is for good."
    blind = True
    opaque = True
    undo_class = Undo.RECREATED
    scope = Scope.LEASE
    lifetime = Lifetime.BOOT
    takes = Shape(argv=ARGV, undo_argv=optional(maybe(ARGV)))
    keeps = Shape()

    def undo_of(self, params: Json) -> Undo:
        return self.undo_class if params.get("undo_argv") else Undo.NONE

    def put_back(self, params: Json) -> str:
        return f"this runs: {' '.join(params.get('undo_argv') or ())}"

    def resource(self, params: Json) -> str:
        return f"command:{' '.join(params['argv'])}"

    def baseline(self, params: Json, host: Host) -> Json:  # noqa: ARG002
        return {}

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:
        for argv in filter(None, (proposal.params["argv"], proposal.params.get("undo_argv"))):
            program = _located(argv, host.paths)[0]
            if "/" not in program and host.programs.find(program) is None:
                yield Finding("program.missing", f"The program {program} is not installed.")

    def apply(self, step: Step, machine: Machine) -> str | None:
        begin(machine, _located(step.params["argv"], machine.paths), deadline=step.deadline, code=FAILED)
        return None

    def probe(self, step: Step, machine: Machine) -> State:  # noqa: ARG002
        """Only the program knows what it did, so its undo is run whenever the journal says that it was begun."""
        return State.BETWEEN

    def undo(self, step: Step, machine: Machine) -> str | None:
        if not (argv := step.params.get("undo_argv")):
            return "it has no undo command"
        run(machine, _located(argv, machine.paths), deadline=step.deadline, code=FAILED)
        return None

    def render_undo(self, step: Step, paths: Paths) -> tuple[str, ...]:
        argv = step.params.get("undo_argv")
        return (call("command_back", seconds(step), *_located(argv, paths)),) if argv else ()


def _located(argv: Iterable[str], paths: Paths) -> tuple[str, ...]:
    """`argv` with an absolute program looked for below the root."""
    program, *arguments = argv
    return (paths.at(program) if program.startswith("/") else program, *arguments)


KIND = CommandRun()
