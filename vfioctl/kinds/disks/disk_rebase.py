"""disk.rebase: puts an image over another one below it, and copies into it what it would lose. Removes no image.

What a guest sees in the image is the same at every moment: clusters are copied first, and its header changes at the end
(`qemu-img rebase` without -u, https://www.qemu.org/docs/master/tools/qemu-img.html). What lies over it needs no change.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed, StepRefused
from vfioctl.findings import Finding
from vfioctl.host import images
from vfioctl.kinds.common import Primitive
from vfioctl.kinds.disks import locks, qemu
from vfioctl.kinds.disks.users import is_same
from vfioctl.shell import call
from vfioctl.txn.shape import ABSOLUTE, NAME, Shape, empty_or, one_of
from vfioctl.txn.step import Lifetime, Scope, State, Undo

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step, StepProposal

FORMATS = ("qcow2", "raw")
BLOCK = 512  # bytes, of st_blocks


class DiskRebase(Primitive):
    """{path, backing, backing_format, to, to_format, domain}: path: a qcow2 image over `backing`; to: the image below
    that over which it is put, "" for none; domain: the UUID of the guest whose disk it is"""

    in_hooks = False
    name = "disk.rebase"
    summary = "Puts an image over another one further down, with what it would lose copied into it first."
    undo_class = Undo.RECREATED
    scope = Scope.TRANSACTION
    lifetime = Lifetime.DISK
    takes = Shape(
        path=ABSOLUTE, backing=ABSOLUTE, backing_format=one_of(*FORMATS), to=empty_or(ABSOLUTE),
        to_format=one_of(*FORMATS, ""), domain=NAME,
    )  # fmt: skip
    keeps = Shape()

    def resource(self, params: Json) -> str:
        return f"disk:{params['path']}"

    def touches(self, params: Json) -> tuple[str, ...]:
        return (f"domain:{params['domain']}",)

    def put_back(self, params: Json) -> str:
        return f"it lies over {params['backing']} again; what was copied into it stays, and says the same"

    def baseline(self, params: Json, host: Host) -> Json:  # noqa: ARG002
        return {}

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:
        params = proposal.params
        named = [host.paths.at(name) for name in (params["path"], params["backing"], params["to"]) if name]
        if gone := [path for path in named if not host.ask(path, partial(os.path.isfile, path))]:
            yield Finding("file.missing", f"There is no disk image {gone[0]}.")
            return
        path, backing = host.paths.at(params["path"]), host.paths.at(params["backing"])
        found = host.ask(path, lambda: _below(path))
        if not host.ask(host.reach.worst(path, backing), lambda: _is_same(found, backing)):
            yield Finding("disk.changed", f"{path} lies over {found or 'nothing'}, not over {backing}.")

    def guard(self, step: Step, machine: Machine) -> None:
        """Raise StepRefused where it lies over another one by now, or a guest has it open."""
        state = self.probe(step, machine)
        path = machine.paths.at(step.params["path"])
        if state is State.FOREIGN:
            raise StepRefused("disk.changed", self.foreign(step, machine))
        if state is State.BEFORE and machine.reach.ask(path, lambda: _is_open(path)):
            raise StepRefused("disk.busy", f"{path} is in use: a guest or a program has it open.")

    def apply(self, step: Step, machine: Machine) -> str | None:
        if self.probe(step, machine) is State.AFTER:
            return self.already(step, machine)
        self.by_program(step, machine)
        return None

    def by_program(self, step: Step, machine: Machine) -> None:
        """Let qemu-img do it: nobody has the image open."""
        params = step.params
        below = ("-b", machine.paths.at(params["to"]), "-F", params["to_format"]) if params["to"] else ("-b", "")
        path = machine.paths.at(params["path"])
        followed(step, machine, ("qemu-img", "rebase", "-p", "-f", "qcow2", *below, "--", path))

    def already(self, step: Step, machine: Machine) -> str:
        return f"{machine.paths.at(step.params['path'])} does not lie over {step.params['backing']} any more"

    def probe(self, step: Step, machine: Machine) -> State:
        found, backing = _backing(step, machine), machine.paths.at(step.params["backing"])
        return State(machine.reach.ask(backing, lambda: _state(found, backing, _to(step, machine.paths))))

    def undo(self, step: Step, machine: Machine) -> str | None:
        """Only the header: what was copied says the same as what it came from."""
        params, path = step.params, machine.paths.at(step.params["path"])
        backing = machine.paths.at(params["backing"])
        if self.probe(step, machine) is not State.AFTER:
            return f"{path} lies over {backing}"
        if not machine.reach.ask(backing, lambda: os.path.isfile(backing)):
            return f"{backing} is gone, and {path} does without it"
        put_over(step, machine, backing, params["backing_format"])
        return None

    def foreign(self, step: Step, machine: Machine) -> str:
        path, found = machine.paths.at(step.params["path"]), _backing(step, machine)
        return f"{path} lies over {found or 'nothing'} now, which this operation has not done; it stays so."

    def render_undo(self, step: Step, paths: Paths) -> tuple[str, ...]:
        return (call("say", f"{paths.at(step.params['path'])} says the same to its guest over either image"),)


def followed(step: Step, machine: Machine, argv: tuple[str, ...]) -> None:
    """Run qemu-img, which tells how far it is with what lies below the image of the step. Raises StepFailed."""
    backing = machine.paths.at(step.params["backing"])
    total = machine.reach.ask(backing, lambda: os.stat(backing).st_blocks * BLOCK)

    def heard(done: float) -> None:
        machine.checkpoint()
        machine.progress(int(done * total), total, "bytes")

    qemu.work(machine, argv, deadline=step.deadline, path=machine.paths.at(step.params["path"]), heard=heard)


def put_over(step: Step, machine: Machine, backing: str, form: str) -> None:
    """Let the header of the image say that it lies over `backing`: nothing is copied. Raises StepFailed."""
    path = machine.paths.at(step.params["path"])
    argv = ("qemu-img", "rebase", "-u", "-f", "qcow2", "-b", backing, "-F", form, "--", path)
    done = machine.programs.run(argv, deadline=step.deadline)
    if not done.ok:
        raise StepFailed("disk.failed", f"{path} could not be put over {backing}: {done.why()}.")


def _backing(step: Step, machine: Machine) -> str:
    path = machine.paths.at(step.params["path"])
    return machine.reach.ask(path, lambda: _below(path))


def _below(path: str) -> str:
    """What the header of the image says lies below it, "" for nothing. Raises OSError."""
    found = images.backing_of(path, "qcow2")
    return os.path.normpath(os.path.join(os.path.dirname(path), found.name)) if found and found.name else ""


def _state(found: str, backing: str, to: str) -> State:
    if _is_same(found, to):
        return State.AFTER
    return State.BEFORE if _is_same(found, backing) else State.FOREIGN


def _is_same(one: str, other: str) -> bool:
    """Whether both are one image: a file may have several paths, and one that is gone has only its own."""
    return one == other or is_same(one, other)


def _to(step: Step, paths: Paths) -> str:
    return paths.at(step.params["to"]) if step.params["to"] else ""


def _is_open(path: str) -> bool:
    with locks.seen(path) as fd:
        return locks.is_open(fd)


KIND = DiskRebase()
