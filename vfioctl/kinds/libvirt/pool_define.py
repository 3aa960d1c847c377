"""pool.define: lets libvirt know a new pool, and makes its directory. Known by its UUID; formats nothing."""

from __future__ import annotations

import os
from contextlib import suppress

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepRefused
from vfioctl.kinds.files.marks import MARK
from vfioctl.kinds.libvirt.change import URI
from vfioctl.kinds.libvirt.domains import text
from vfioctl.kinds.libvirt.drives import must_have_source
from vfioctl.kinds.libvirt.pools import (
    PLANNED,
    Opening,
    Pool,
    has_directory,
    is_here,
    is_same_pool,
    name_of,
    path_of,
)
from vfioctl.shell import argument
from vfioctl.txn.blobs import BLOB
from vfioctl.txn.shape import FLAG, NAME, UUID, Shape, optional
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step


class PoolDefine(Opening):
    """{uri, uuid, blob, build?, fresh?}: blob: the name of its XML, which `vfioctl.txn.blobs.store` gives; build:
    libvirt makes its directory where there is none; fresh: there is none, so that the undo removes it while it is
    empty. Of a pool that has no directory nothing is made or removed, whatever they say. One in which others have
    written to volumes since stays"""

    name = "pool.define"
    summary = "Lets libvirt know a new pool, and makes its directory; forgotten again only on failure."
    marks = True
    undo_class = Undo.EXACT
    takes = Shape(uri=URI, uuid=UUID, blob=BLOB, build=optional(FLAG), fresh=optional(FLAG))
    keeps = Shape(operation=NAME, planned=PLANNED)

    def put_back(self, params: Json) -> str:  # noqa: ARG002
        return "libvirt forgets it; its directory goes if it was made and is empty"

    def is_made(self, params: Json) -> bool:  # noqa: ARG002
        return True

    def must_fit(self, params: Json, pool: Pool, machine: Machine) -> None:
        document = text(machine.paths, params["blob"])
        name, path = name_of(document), path_of(document)
        if pool.is_taken(name) or pool.found is not None:
            said = f"There is a pool {name}, or another one with the UUID {pool.uuid}, already."
            raise StepRefused("pool.exists", said, hints=("Choose another name, or see: vfioctl pool list",))
        if params.get("fresh", False) and is_here(params) and os.path.lexists(path):
            said = f"{path} was made by somebody else since this was planned."
            raise StepRefused("pool.changed", said, hints=("Look at it, then plan it once more.",))

    def must_fit_here(self, params: Json, machine: Machine) -> None:
        must_have_source(machine, params, text(machine.paths, params["blob"]))

    def state(self, step: Step, paths: Paths, pool: Pool) -> State:
        if pool.found is None:
            return State.BEFORE
        return State.AFTER if is_same_pool(text(paths, step.params["blob"]), pool.xml or "<pool/>") else State.FOREIGN

    def apply(self, step: Step, machine: Machine) -> str | None:
        return self.on(step, machine, lambda pool: self._apply(step, machine, pool))

    def _apply(self, step: Step, machine: Machine, pool: Pool) -> str | None:
        params = step.params
        if self.state(step, machine.paths, pool) is State.AFTER:
            return "libvirt knows of it already"
        self.must_fit(params, pool, machine)  # as late as can be
        document = text(machine.paths, params["blob"])
        handle = pool.connection.storagePoolDefineXML(document, 0)
        if params.get("build", False) and has_directory(document):
            handle.build(0)  # no flag: a file system is never made
        if params.get("fresh", False) and has_directory(document):
            with suppress(OSError):  # without root, or where the file system keeps none: the directory stays unmarked
                os.setxattr(path_of(document), MARK, str(step.baseline["operation"]).encode())
        return None

    def undo(self, step: Step, machine: Machine) -> str | None:
        return self.on(step, machine, lambda pool: _undo(step, machine.paths, pool))

    def foreign(self, step: Step, machine: Machine) -> str:
        if self.written(step, machine):
            return super().foreign(step, machine)
        from vfioctl.virt.nodes import of_uri  # rare

        name = name_of(text(machine.paths, step.params["blob"]))
        remove = f"vfioctl pool delete {argument(name)}{of_uri(step.params['uri']).there}"
        return f"The pool {name} was changed by somebody else since, and stays. If nobody needs it: {remove}"


def _undo(step: Step, paths: Paths, pool: Pool) -> str | None:
    """The directory first: a pool that is there still leads the next try to it."""
    if (found := pool.found) is None:
        return "libvirt does not know of it"
    if found.isActive():
        found.destroy()
    document = text(paths, step.params["blob"])
    goes = step.params.get("fresh", False) and has_directory(document)
    kept = _kept(found, path_of(document)) if goes else ""
    found.undefine()
    return kept or None


def _kept(found: object, path: str) -> str:
    """Why the directory stays, "" where libvirt has removed it: it is rmdir(2), which takes no file along."""
    import libvirt

    if not os.path.isdir(path):
        return ""
    try:
        found.delete(0)  # type: ignore[attr-defined]
    except libvirt.libvirtError as error:
        return f"{path} stays: {error.get_error_message()}"
    return ""


KIND = PoolDefine()
