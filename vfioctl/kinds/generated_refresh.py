"""generated.refresh: has a program make files anew from others that it reads, such as a boot menu from its settings.

Two steps belong together. The one behind the changes runs the program when they are made; the one before them, `back`,
runs it when they have been undone, since an undo goes in reverse.
"""

from __future__ import annotations

from collections.abc import Iterable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.findings import Finding
from vfioctl.kinds.common import FAILED, Primitive, begin, run
from vfioctl.paths import Paths
from vfioctl.txn.shape import ARGV, FLAG, Shape, optional
from vfioctl.txn.step import Lifetime, Scope, State, Undo

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step, StepProposal


INSIDE = Paths().programs  # where a host that is its own root has them


class GeneratedRefresh(Primitive):
    """{argv, back?}: argv: the program with its arguments; it must bear being run twice, and make the same of the same;
    back: nothing is run but after the undo of the steps behind this one"""

    name = "generated.refresh"
    summary = "Has a program make files anew from others, and once more where these are put back on failure."
    blind = True
    opaque = True
    in_hooks = False
    undo_class = Undo.RECREATED
    scope = Scope.TRANSACTION
    lifetime = Lifetime.DISK
    takes = Shape(argv=ARGV, back=optional(FLAG))
    keeps = Shape()

    def put_back(self, params: Json) -> str:
        return f"this runs: {' '.join(params['argv'])}" if params.get("back") else "nothing by itself"

    def resource(self, params: Json) -> str:
        return f"generated:{'back:' if params.get('back') else ''}{' '.join(params['argv'])}"

    def baseline(self, params: Json, host: Host) -> Json:  # noqa: ARG002
        return {}

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:
        named = (_argv(proposal.params, host.paths)[0], proposal.params["argv"][0])
        for program in dict.fromkeys(named):
            if host.programs.find(program) is None:
                yield Finding("program.missing", f"The program {program} is not installed.")

    def apply(self, step: Step, machine: Machine) -> str | None:
        if step.params.get("back"):
            return "it runs when what follows is undone"
        begin(machine, _argv(step.params, machine.paths), deadline=step.deadline, code=FAILED)
        return None

    def probe(self, step: Step, machine: Machine) -> State:  # noqa: ARG002
        """Only the program knows what it did. What it made follows from its sources, which `back` sees to."""
        return State.BETWEEN

    def undo(self, step: Step, machine: Machine) -> str | None:
        if not step.params.get("back"):
            return "it follows from what is put back"
        run(machine, _argv(step.params, machine.paths), deadline=step.deadline, code=FAILED)
        return None


def _argv(params: Json, paths: Paths) -> tuple[str, ...]:
    """The program in the root directory whose files it is about: it knows them, and further programs, by names only."""
    inside = () if paths.root == "/" else ("chroot", paths.root, "/usr/bin/env", f"PATH={INSIDE}")
    return (*inside, *params["argv"])


KIND = GeneratedRefresh()
