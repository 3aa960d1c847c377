"""file.delete: removes one file for good: the one that was planned, unchanged, and only while nothing has it open.

In any directory, QEMU's own too: who turns the way to it elsewhere leads us to no other file of its device and inode.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed, StepRefused
from vfioctl.findings import Finding
from vfioctl.kinds.common import Primitive
from vfioctl.kinds.disks import locks
from vfioctl.kinds.files import place
from vfioctl.kinds.files.place import FILE, Place
from vfioctl.txn import blobs
from vfioctl.txn.blobs import BLOB
from vfioctl.txn.shape import COUNT, NAME, TEXT, Shape, maybe, optional
from vfioctl.txn.step import Lifetime, Scope, State, Undo

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step, StepProposal


class FileDelete(Primitive):
    """{path, device?, inode?, blob?, uri?, domain?}: device, inode: numbers, which name the file that is meant: by the
    time of the deletion another one may have its path; blob: the name of its content instead, for a file that a step
    before this one writes, as `vfioctl.txn.blobs.store` gives it; uri, domain: a node and the UUID of a guest: it stays
    where another guest there, or this one as configured or as it runs, comes to it, through images above it as well"""

    name = "file.delete"
    summary = "Removes one file for good, such as an image that nothing needs; not one that has changed since the plan."
    one_way = True
    undo_class = Undo.NONE
    scope = Scope.TRANSACTION
    lifetime = Lifetime.DISK
    takes = Shape(
        path=FILE, device=optional(COUNT), inode=optional(COUNT), blob=optional(BLOB), uri=optional(TEXT),
        domain=optional(NAME),
    )  # fmt: skip
    keeps = Shape(mtime_ns=maybe(COUNT))

    def unfit(self, params: Json) -> str:
        if found := super().unfit(params):
            return found
        named = "blob" in params or {"device", "inode"} <= params.keys()
        return "" if named else "neither device and inode nor blob name the file"

    def resource(self, params: Json) -> str:
        return f"file:{params['path']}"

    def baseline(self, params: Json, host: Host) -> Json:
        """When it was last written to: an inode's number is soon given to another file. None where it is not there."""
        path = host.paths.at(params["path"])
        return {"mtime_ns": host.ask(path, lambda: _written(path))}

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:
        params, path = proposal.params, host.paths.at(proposal.params["path"])
        if "blob" not in params and host.ask(path, lambda: _identity(path)) != [params["device"], params["inode"]]:
            yield Finding("file.changed", f"{path} is not there, or is not the file that is to be removed.")

    def guard(self, step: Step, machine: Machine) -> None:
        """Raise StepRefused where it is another one, was changed, or is in use. One that is gone is no reason."""
        place.bounded(step, machine, lambda there: _guard(step, there), nowhere=lambda: None)
        _must_be_unneeded(step, machine)

    def apply(self, step: Step, machine: Machine) -> str | None:
        nowhere = "its directory is gone"
        return place.bounded(step, machine, lambda there: _delete(step, there), nowhere=lambda: nowhere)

    def probe(self, step: Step, machine: Machine) -> State:
        return State(place.bounded(step, machine, lambda there: _probe(step, there), nowhere=lambda: State.AFTER))

    def undo(self, step: Step, machine: Machine) -> str | None:  # noqa: ARG002
        return f"{step.params['path']} cannot be brought back"

    def foreign(self, step: Step, machine: Machine) -> str:
        path = machine.paths.at(step.params["path"])
        return f"{path} is not the file that was there when this was planned, and stays."


def _identity(path: str) -> list[int] | None:
    """Device and inode of the plain file `path`."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return [found.st_dev, found.st_ino] if stat.S_ISREG(found.st_mode) else None


def _written(path: str) -> int | None:
    try:
        return os.lstat(path).st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        return None


def _probe(step: Step, there: Place) -> State:
    found = there.status(there.name)
    if found is None:
        return State.AFTER
    return State.BEFORE if stat.S_ISREG(found.st_mode) and _is_meant(step, there, found) else State.FOREIGN


def _is_meant(step: Step, there: Place, found: os.stat_result) -> bool:
    if blob := step.params.get("blob"):
        return there.sha256() == blobs.sha256(blob)
    same = step.params["device"], step.params["inode"], step.baseline["mtime_ns"]
    return (found.st_dev, found.st_ino, found.st_mtime_ns) == same


def _guard(step: Step, there: Place) -> None:
    if _probe(step, there) is not State.AFTER:
        _must_be_meant(step, there)


def _must_be_unneeded(step: Step, machine: Machine) -> None:
    """Raise StepRefused where a guest comes to it."""
    if not (uri := step.params.get("uri", "")):
        return
    from vfioctl.kinds.disks.users import way_to

    path = machine.paths.at(step.params["path"])
    if way := way_to(machine, uri, step.params.get("domain", ""), path):
        above = "" if way == path else f", by {way}"
        said = f"{path} is not removed: a guest needs it{above}."
        hint = "See the disks of each guest with: vfioctl guest show GUEST"
        raise StepRefused("file.needed", said, hints=(hint,))


def _must_be_meant(step: Step, there: Place) -> None:
    if _probe(step, there) is State.FOREIGN:
        said = f"{there.path} is not removed: it is another file, or was changed since this was planned."
        raise StepRefused("file.changed", said, hints=("Look at it, then plan it once more.",))
    fd = there.open(there.name)
    try:
        if locks.is_open(fd):
            raise StepRefused("disk.busy", f"{there.path} is not removed: a guest or a program has it open.")
    finally:
        os.close(fd)


def _delete(step: Step, there: Place) -> str | None:
    if _probe(step, there) is State.AFTER:
        return f"{there.path} is not there"
    try:
        _must_be_meant(step, there)
        there.remove(there.name)
        there.sync()
    except OSError as error:
        raise StepFailed("file.delete_failed", f"{there.path} could not be removed: {error.strerror}.") from error
    return None


KIND = FileDelete()
