"""pool.autostart: says whether a pool starts with its host. Starts and stops nothing."""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepRefused
from vfioctl.kinds.libvirt.change import URI
from vfioctl.kinds.libvirt.pools import Opening, Pool
from vfioctl.txn.shape import FLAG, UUID, Shape, optional
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step


class PoolAutostart(Opening):
    """{uri, uuid, on, made?}: on: whether it is to start with its host; the undo says the opposite; made: a step before
    it makes the pool, which stays as it is where others have written to volumes in it since"""

    name = "pool.autostart"
    summary = "Says whether a pool starts with its host; as before only on failure."
    undo_class = Undo.EXACT
    early = False  # a plan may define it first
    takes = Shape(uri=URI, uuid=UUID, on=FLAG, made=optional(FLAG))

    def put_back(self, params: Json) -> str:
        return f"it starts with its host {'no more' if params['on'] else 'again'}"

    def must_fit(self, params: Json, pool: Pool, machine: Machine) -> None:  # noqa: ARG002
        if not pool.handle.isPersistent():
            said = f"The pool {pool.handle.name()} has no configuration that could say so."
            raise StepRefused("pool.transient", said, hints=("Define it first, with: virsh pool-define FILE",))

    def state(self, step: Step, paths: Paths, pool: Pool) -> State:  # noqa: ARG002
        found = pool.found
        return State.AFTER if found is not None and bool(found.autostart()) is step.params["on"] else State.BEFORE

    def apply(self, step: Step, machine: Machine) -> str | None:
        return self.on(step, machine, lambda pool: _set(pool, on=step.params["on"]))

    def undo(self, step: Step, machine: Machine) -> str | None:
        return self.on(step, machine, lambda pool: _set(pool, on=not step.params["on"]))


def _set(pool: Pool, *, on: bool) -> str | None:
    if (found := pool.found) is None:
        return "libvirt does not know of it"
    found.setAutostart(int(on))
    return None


KIND = PoolAutostart()
