"""pool.delete: lets libvirt forget a pool that is not active. No file goes; its directory where asked, and empty."""

from __future__ import annotations

import os
from contextlib import suppress

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepRefused
from vfioctl.kinds.files.marks import mark_of
from vfioctl.kinds.libvirt.change import URI
from vfioctl.kinds.libvirt.domains import text
from vfioctl.kinds.libvirt.pools import Pool, PoolChange, has_directory, is_same_pool, must_be_unused, name_of, path_of
from vfioctl.txn.blobs import BLOB
from vfioctl.txn.shape import FLAG, UUID, Shape, optional
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step


class PoolDelete(PoolChange):
    """{uri, uuid, blob, autostart, directory?}: blob: the name of its XML as it is now, which the undo defines again;
    autostart: whether it starts with its host, now; directory: its directory, which is on this host, goes if
    pool.define has made it and it is empty"""

    name = "pool.delete"
    summary = "Lets libvirt forget a pool, not its files; known again only on failure."
    undo_class = Undo.EXACT
    early = False  # a plan stops it first
    takes = Shape(uri=URI, uuid=UUID, blob=BLOB, autostart=FLAG, directory=optional(FLAG))

    def put_back(self, params: Json) -> str:  # noqa: ARG002
        return "libvirt knows of it again"

    def must_fit(self, params: Json, pool: Pool, machine: Machine) -> None:
        former, present = text(machine.paths, params["blob"]), pool.xml
        if not present or not is_same_pool(former, present):
            said = f"The pool {name_of(former)} was changed since this was planned, or is gone."
            raise StepRefused("pool.changed", said, hints=("Look at it, then plan it once more.",))
        if pool.handle.isActive():
            raise StepRefused("pool.active", f"The pool {name_of(former)} is active.", hints=("Stop it first.",))
        must_be_unused(machine, params, former, "deleted", running=False)

    def state(self, step: Step, paths: Paths, pool: Pool) -> State:
        former, present = text(paths, step.params["blob"]), pool.xml
        if not present:
            return State.FOREIGN if pool.is_taken(name_of(former)) else State.AFTER
        return State.BEFORE if is_same_pool(former, present) else State.FOREIGN

    def apply(self, step: Step, machine: Machine) -> str | None:
        return self.on(step, machine, lambda pool: self._apply(step, machine, pool))

    def _apply(self, step: Step, machine: Machine, pool: Pool) -> str | None:
        if pool.found is None:
            return "libvirt does not know of it"
        pool.handle.undefine()
        former = text(machine.paths, step.params["blob"])
        path = path_of(former)
        if step.params.get("directory", False) and has_directory(former) and mark_of(path):
            with suppress(OSError):  # not empty, a mount point: it stays
                os.rmdir(path)
        return None

    def undo(self, step: Step, machine: Machine) -> str | None:
        return self.on(step, machine, lambda pool: _undo(step, machine.paths, pool))

    def foreign(self, step: Step, machine: Machine) -> str:
        name = name_of(text(machine.paths, step.params["blob"]))
        return f"The pool {name} is another one now, or was changed by somebody else, and stays so."


def _undo(step: Step, paths: Paths, pool: Pool) -> None:
    former = text(paths, step.params["blob"])
    handle = pool.connection.storagePoolDefineXML(former, 0)
    goes = step.params.get("directory", False) and has_directory(former)
    if goes and not os.path.isdir(path_of(former)):
        handle.build(0)
    handle.setAutostart(int(step.params["autostart"]))


KIND = PoolDelete()
