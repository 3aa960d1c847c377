"""The volume that a step is about, what the kinds share that change one, and whose it is.

Where its file is on this host and we are root, it bears the mark of the operation that made it. Elsewhere nothing can
be written on it: there it is ours when it is as it was planned, younger than the plan, and no guest names it.
"""

from __future__ import annotations

import os
import time
from abc import abstractmethod

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed
from vfioctl.kinds.disks import locks
from vfioctl.kinds.disks.made import LEFT
from vfioctl.kinds.files.marks import MARK, mark_of
from vfioctl.kinds.libvirt.change import Change
from vfioctl.shell import argument
from vfioctl.txn.shape import LONGEST_NAME, NAME, Form, Shape, is_number, is_text
from vfioctl.txn.step import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from vfioctl.findings import Finding
    from vfioctl.host.host import Host
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step, StepProposal
    from vfioctl.virt.volumes import Volume as Described

SKEW = 2.0  # seconds that a clock of a file system may be behind
VOLUME = Form(
    "the name of a volume",
    lambda value: is_text(value) and 0 < len(value) <= LONGEST_NAME and "/" not in value and value not in (".", ".."),
)


class Volume:
    """A volume by the UUID of its pool and its name. Each of its methods asks libvirt; raises libvirtError."""

    def __init__(self, connection: Any, pool: str, name: str) -> None:
        self.connection = connection
        self.pool = pool
        self.name = name

    @property
    def within(self) -> Any:
        """libvirt's handle of its pool. Raises StepFailed("pool.unknown", "pool.inactive")."""
        import libvirt

        try:
            found = self.connection.storagePoolLookupByUUIDString(self.pool)
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_STORAGE_POOL:
                raise
            raise StepFailed("pool.unknown", f"libvirt has no pool with the UUID {self.pool}.") from error
        if not found.isActive():
            name = found.name()
            hint = f"Start it with: vfioctl pool start {argument(name)}"
            raise StepFailed("pool.inactive", f"The pool {name} is not active.", hints=(hint,))
        return found

    @property
    def found(self) -> Any | None:
        """libvirt's handle; None when there is no such volume."""
        import libvirt

        try:
            return self.within.storageVolLookupByName(self.name)
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_STORAGE_VOL:
                return None
            raise

    @property
    def handle(self) -> Any:
        """The same. Raises StepFailed("volume.unknown")."""
        if (found := self.found) is None:
            raise StepFailed("volume.unknown", f"The pool {self.within.name()} has no volume {self.name!r}.")
        return found

    @property
    def described(self) -> Described | None:
        """What libvirt says of it now; None when there is no such volume."""
        from vfioctl.virt.volumes import described

        return None if (found := self.found) is None else described(self.within.name(), found)

    def refresh(self) -> None:
        """Let libvirt look for volumes anew. One that is just being made elsewhere in the pool keeps it from that."""
        import libvirt

        try:
            self.within.refresh(0)
        except libvirt.libvirtError as error:
            if error.get_error_code() not in (libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_INTERNAL_ERROR):
                raise


class VolumeChange(Change[Volume]):
    """What the kinds about volumes have in common: `uri`, `pool` (its UUID) and `name` say which one."""

    def thing(self, libvirt: Any, params: Json) -> Volume:
        return Volume(libvirt, params["pool"], params["name"])

    def called(self, params: Json) -> str:
        return f"the volume {params['name']}"

    def resource(self, params: Json) -> str:
        return f"volume:{params['pool']}/{params['name']}"


class Making(VolumeChange):
    """What the kinds share that make a volume. `marked`: its file is here, and we may write on it whose it is.

    `later`: its pool is made by a step before, so that it is judged when its turn comes.
    """

    marks = True
    keeps = Shape(operation=NAME, planned=Form("a time", is_number))
    goes_on = (State.AFTER,)

    def put_back(self, params: Json) -> str:  # noqa: ARG002
        return "it is removed, unless somebody has written to it since"

    def baseline(self, params: Json, host: Host) -> Json:  # noqa: ARG002
        return {"planned": time.time()}

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:
        return () if proposal.params.get("later", False) else super().check(proposal, host)

    @abstractmethod
    def is_as_planned(self, params: Json, present: Described) -> bool:
        """Whether `present` is what a volume of this step looks like."""

    def probe(self, step: Step, machine: Machine) -> State:
        found = self.on(step, machine, lambda volume: volume.described)
        if found is None:
            return State.BEFORE
        if step.params["marked"]:
            return _by_mark(found.path, str(step.baseline["operation"]))
        return State.AFTER if self._is_ours(step, machine, found) else State.FOREIGN

    def _is_ours(self, step: Step, machine: Machine, found: Described) -> bool:
        from vfioctl.virt.uses import other_sources

        young = found.changed >= step.baseline["planned"] - SKEW
        if not young or not self.is_as_planned(step.params, found):
            return False
        return found.path not in other_sources(machine.libvirt(step.params["uri"]), "")

    def state(self, step: Step, paths: Any, thing: Volume) -> State:  # noqa: ARG002
        """Only whether something has its name: whose it is `probe` says."""
        return State.BEFORE if thing.found is None else State.BETWEEN

    def undo(self, step: Step, machine: Machine) -> str | None:
        """One that libvirt still fills is waited for: nothing ends that."""
        from vfioctl.wait import until

        if until(lambda: self.on(step, machine, _delete), step.deadline):
            return None
        raise StepFailed("volume.busy", f"The volume {step.params['name']} is still being filled; it was not removed.")

    def foreign(self, step: Step, machine: Machine) -> str:
        path, pool = self.on(step, machine, lambda volume: (volume.handle.path(), volume.within.name()))
        how = removal(step.params, pool)
        return f"{path} was made by somebody else, or was written to since, and stays. {how}"


def has_size(present: Described, size: int) -> bool:
    """Whether it has been given `size` bytes: LVM rounds up to whole extents, of which libvirt says nothing."""
    from vfioctl.virt.volumes import BLOCK

    return present.capacity >= size if present.kind == BLOCK else present.capacity == size


def removal(params: Json, pool: str) -> str:
    """How somebody else's volume in the pool of that name is removed, for a person: by what looks who needs it."""
    from vfioctl.virt.nodes import of_uri

    there = of_uri(params["uri"]).there
    return f"If nobody needs it: vfioctl volume delete {argument(pool)} {argument(params['name'])}{there}"


def _by_mark(path: str, operation: str) -> State:
    try:
        with locks.seen(path) as fd:
            if mark_of(fd) != operation:
                return State.FOREIGN
            if LEFT not in os.listxattr(fd):
                return State.BETWEEN
            as_left = os.getxattr(fd, LEFT) == str(os.fstat(fd).st_mtime_ns).encode() and not locks.is_open(fd)
            return State.AFTER if as_left else State.FOREIGN
    except FileNotFoundError:  # libvirt has it, and we do not see it: it has no mark that we could read
        return State.FOREIGN


def mark_begun(path: str, operation: str) -> None:
    """Say on the file whose it is, before there is anything in it; that it is whole is said later. Raises OSError."""
    os.setxattr(path, MARK, operation.encode())


def mark_whole(path: str, operation: str) -> None:
    """Say on the file that it is as the operation leaves it. Raises OSError."""
    os.setxattr(path, MARK, operation.encode())
    os.setxattr(path, LEFT, str(os.stat(path).st_mtime_ns).encode())


def _delete(volume: Volume) -> bool:
    """Whether it is gone. False while libvirt still works on it."""
    import libvirt

    if (found := volume.found) is None:
        return True
    try:
        found.delete(0)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID:
            raise
        return False
    return True


def create(
    step: Step, volume: Volume, work: Callable[[Any], Any], mark: Callable[[str, str], None] = mark_whole
) -> str:
    """Let `work` make the volume in its pool, and mark it; its path."""
    made = work(volume.within)
    path = str(made.path())
    if not step.params["marked"]:
        return path
    try:
        mark(path, str(step.baseline["operation"]))
    except OSError as error:
        made.delete(0)  # nobody else has had it yet, and later nobody could tell
        said = f"{path} could not be marked as ours: {error.strerror}. It is removed again."
        hint = "libvirt may see other mounts than this process: compare them with findmnt."
        raise StepFailed("volume.unmarked", said, hints=(hint,)) from error
    return path
