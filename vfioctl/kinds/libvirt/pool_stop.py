"""pool.stop: lets libvirt work with a pool no longer; a file system is unmounted. Its volumes stay."""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepRefused
from vfioctl.kinds.libvirt.change import URI
from vfioctl.kinds.libvirt.pools import Pool, PoolChange, must_be_unused
from vfioctl.txn.shape import UUID, Shape
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step


class PoolStop(PoolChange):
    """{uri, uuid}"""

    name = "pool.stop"
    summary = "Lets libvirt work with a pool no longer, unless a running guest needs it; started again only on failure."
    undo_class = Undo.EXACT
    takes = Shape(uri=URI, uuid=UUID)

    def put_back(self, params: Json) -> str:  # noqa: ARG002
        return "it is started again"

    def must_fit(self, params: Json, pool: Pool, machine: Machine) -> None:
        handle = pool.handle
        if not handle.isActive():
            raise StepRefused("pool.inactive", f"The pool {handle.name()} is not active.")
        if not handle.isPersistent():
            said = f"The pool {handle.name()} has no configuration: libvirt would forget it with its end."
            raise StepRefused("pool.transient", said, hints=("Define it first, with: virsh pool-define FILE",))
        must_be_unused(machine, params, pool.xml, "stopped", running=True)

    def state(self, step: Step, paths: Paths, pool: Pool) -> State:  # noqa: ARG002
        if (found := pool.found) is None:
            return State.FOREIGN
        return State.BEFORE if found.isActive() else State.AFTER

    def apply(self, step: Step, machine: Machine) -> str | None:
        return self.on(step, machine, _stop)

    def undo(self, step: Step, machine: Machine) -> str | None:
        return self.on(step, machine, lambda pool: pool.handle.create(0) and None)

    def foreign(self, step: Step, machine: Machine) -> str:  # noqa: ARG002
        return f"libvirt has no pool {step.params['uuid']} any more, so it is not started again."


def _stop(pool: Pool) -> str | None:
    if not pool.handle.isActive():
        return "it is not active"
    pool.handle.destroy()
    return None


KIND = PoolStop()
