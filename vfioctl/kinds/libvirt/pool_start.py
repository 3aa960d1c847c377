"""pool.start: lets libvirt work with a pool: a file system is mounted, volumes are looked for. Changes no file."""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepRefused
from vfioctl.kinds.libvirt.change import LOOK, URI
from vfioctl.kinds.libvirt.drives import must_have_source
from vfioctl.kinds.libvirt.pools import Opening, Pool, must_be_unused
from vfioctl.txn.shape import FLAG, UUID, Shape, optional
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step


class PoolStart(Opening):
    """{uri, uuid, made?}: made: a step before it makes the pool, which stays as it is where others have written to
    volumes in it since"""

    name = "pool.start"
    summary = "Lets libvirt work with a pool; stopped again only on failure, unless a running guest needs it."
    undo_class = Undo.EXACT
    early = False  # a plan may define it first
    takes = Shape(uri=URI, uuid=UUID, made=optional(FLAG))

    def put_back(self, params: Json) -> str:  # noqa: ARG002
        return "it is stopped again"

    def must_fit(self, params: Json, pool: Pool, machine: Machine) -> None:  # noqa: ARG002
        if pool.handle.isActive():
            raise StepRefused("pool.active", f"The pool {pool.handle.name()} is active already.")

    def must_fit_here(self, params: Json, machine: Machine) -> None:
        must_have_source(machine, params, self.ask(machine, params, lambda pool: str(pool.handle.XMLDesc()), LOOK))

    def state(self, step: Step, paths: Paths, pool: Pool) -> State:  # noqa: ARG002
        found = pool.found
        return State.AFTER if found is not None and found.isActive() else State.BEFORE

    def apply(self, step: Step, machine: Machine) -> str | None:
        return self.on(step, machine, _start)

    def undo(self, step: Step, machine: Machine) -> str | None:
        return self.on(step, machine, lambda pool: _stop(step, machine, pool))


def _start(pool: Pool) -> str | None:
    if pool.handle.isActive():
        return "it is active already"
    pool.handle.create(0)
    return None


def _stop(step: Step, machine: Machine, pool: Pool) -> str | None:
    found = pool.found
    if found is None or not found.isActive():
        return "it is not active"
    must_be_unused(machine, step.params, str(found.XMLDesc()), "stopped", running=True)
    found.destroy()
    return None


KIND = PoolStart()
