"""vtconsole.unbind: takes the text console off the framebuffer. Finds it by name: the numbers vary."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed, Stuck
from vfioctl.findings import Finding
from vfioctl.host import consoles
from vfioctl.host.readers import entries, text
from vfioctl.host.stuck import record_stuck
from vfioctl.kernel_io import StuckRead
from vfioctl.kinds.common import LEAST_WRITE, Primitive
from vfioctl.kinds.stuck import refuse_stuck, write_or_record
from vfioctl.shell import call
from vfioctl.txn.shape import FLAG, TEXT, Shape
from vfioctl.txn.step import Lifetime, Scope, State, Undo

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step, StepProposal

SYSTEM = "(S) "
KINDS = ("(M) ", SYSTEM)  # the kernel's mark for a module or a system console


class NoEffect(StepFailed):
    """The kernel took the write and did nothing."""


class VtconsoleUnbind(Primitive):
    """{name}, e.g. "frame buffer device" """

    name = "vtconsole.unbind"
    summary = "Takes the text console off the framebuffer; normally it comes back by itself with the driver."
    undo_class = Undo.EXACT
    scope = Scope.LEASE
    lifetime = Lifetime.BOOT
    takes = Shape(name=TEXT)
    keeps = Shape(bound=FLAG)

    def resource(self, params: Json) -> str:
        return f"vtconsole:{plain(params['name'])}"

    def baseline(self, params: Json, host: Host) -> Json:
        wanted = plain(params["name"])
        return {"bound": any(plain(c.name) == wanted and c.bound for c in host.vtconsoles())}

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:
        wanted = plain(proposal.params["name"])
        for console in host.vtconsoles():
            if console.stuck and plain(console.name) == wanted:
                yield Finding(
                    "vtconsole.stuck",
                    f"The kernel does not say whether the text console {console.entry} ({wanted}) is bound: somebody "
                    f"holds the lock of the consoles and does not let it go.",
                    hint="See what hangs with: dmesg",
                )

    def apply(self, step: Step, machine: Machine) -> str | None:
        bound = [path for path, on in _consoles(machine, step.params["name"]) if on]
        if not bound:
            return f"no text console is bound to the {plain(step.params['name'])}"
        for path in bound:
            _switch(machine, path, step.deadline, on=False)
        return None

    def probe(self, step: Step, machine: Machine) -> State:
        try:
            bound = [on for _, on in _consoles(machine, step.params["name"])]
        except Stuck:
            return State.STUCK
        if any(bound) == step.baseline["bound"]:
            return State.BEFORE
        return State.AFTER if not any(bound) else State.BETWEEN

    def undo(self, step: Step, machine: Machine) -> str | None:
        found = tuple(_consoles(machine, step.params["name"]))
        if not step.baseline["bound"]:
            return "it was not bound before"
        if not found:
            return "the console is not there; the kernel brings it back, bound, with the framebuffer"
        if all(on for _, on in found):
            return "it is bound already"
        for path, on in found:
            if not on and not _bind(machine, path, step.deadline):
                return "the kernel binds it no more by hand; it comes back when the driver of its framebuffer does"
        return None

    def render_undo(self, step: Step, paths: Paths) -> tuple[str, ...]:  # noqa: ARG002
        return (call("vtconsole_back", plain(step.params["name"])),) if step.baseline["bound"] else ()


def plain(name: str) -> str:
    """The name without the kernel's mark."""
    name = name.strip()
    return name[4:] if name.startswith(KINDS) else name


def _directories(paths: Paths, name: str) -> Iterator[str]:
    """The directory of each console of that name."""
    for entry in entries(_base(paths)):
        if plain(_name(paths, entry)) == plain(name):
            yield os.path.join(_base(paths), entry)


def _base(paths: Paths) -> str:
    return paths.at("sys/class/vtconsole")


def _name(paths: Paths, entry: str) -> str:
    return text(os.path.join(_base(paths), entry, "name")) or ""


def _consoles(machine: Machine, name: str) -> Iterator[tuple[str, bool]]:
    """The directory of each console of that name, and whether it is bound. Raises Stuck."""
    for path in _directories(machine.paths, name):
        refuse_stuck(machine, os.path.basename(path))
        yield path, _is_bound(machine, path)


def _is_bound(machine: Machine, path: str) -> bool:
    """Whether the console is bound; one whose read hangs is recorded. Raises Stuck."""
    entry = os.path.basename(path)
    try:
        return consoles.is_bound(machine.programs.writer, path)
    except StuckRead as hung:
        record_stuck(machine.paths, entry, hung.pid, os.path.join(path, "bind"), "")
        raise Stuck(
            "vtconsole.stuck", f"The kernel does not say whether {entry} is bound; process {hung.pid} waits in it.",
            state="Nothing more is written to it.", hints=("See what hangs with: dmesg",),
        ) from hung  # fmt: skip


def _bind(machine: Machine, path: str, deadline: float) -> bool:
    """Whether it is bound now: a back-end takes the screen only from one of the system's, "(S)" (vt_bind).

    None is left after a boot in VGA text mode: vgacon was it, and went when the first graphics driver came.
    """
    try:
        _switch(machine, path, deadline, on=True)
    except NoEffect:
        if any(_name(machine.paths, entry).startswith(SYSTEM) for entry in entries(_base(machine.paths))):
            raise
        return False
    return True


def _switch(machine: Machine, path: str, deadline: float, *, on: bool) -> None:
    """A console that vanishes under the write has done what was wanted, or is rebuilt by the kernel."""
    doing = f"{'Binding' if on else 'Unbinding'} {os.path.basename(path)}"
    try:
        write_or_record(
            machine, os.path.basename(path), os.path.join(path, "bind"), "1" if on else "0",
            deadline=max(deadline, LEAST_WRITE),
        )
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise StepFailed("vtconsole.write_failed", f"{doing} failed: {error.strerror}.") from error
    if os.path.exists(path) and _is_bound(machine, path) != on:
        raise NoEffect("vtconsole.write_failed", f"{doing} had no effect.")


KIND = VtconsoleUnbind()
