"""volume.compact: writes a qcow2 volume anew without what it does not use. To every guest its content is the same.

No guest that comes to it may run meanwhile; none can begin to write to it either, since the image is locked.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed, StepRefused
from vfioctl.findings import Finding
from vfioctl.kinds.disks import compact, locks
from vfioctl.kinds.files import mounted, place
from vfioctl.kinds.files.marks import keeps_marks
from vfioctl.kinds.files.place import FILE, Place
from vfioctl.kinds.libvirt.change import URI
from vfioctl.kinds.libvirt.volume_alone import Alone, must_have_no_user
from vfioctl.kinds.libvirt.volume_needs import must_be_at_rest, must_not_be_open, users
from vfioctl.kinds.libvirt.volumes import VOLUME, Volume
from vfioctl.txn.shape import COUNT, NAME, UUID, Shape, many, optional
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step, StepProposal

Problem = tuple[str, str]  # code and sentence


class VolumeCompact(Alone):
    """{uri, pool, name, path, device, inode, domains?}: uri: of this host; pool: its UUID; path: the file of the
    volume, which device and inode (numbers) name: by the time of the step another one may have its path; domains: the
    UUIDs of the guests that have it, which do not start meanwhile"""

    name = "volume.compact"
    summary = "Writes a qcow2 volume anew without what it does not use; it is replaced once both are proven the same."
    marks = True
    undo_class = Undo.RECREATED
    takes = Shape(
        uri=URI, pool=UUID, name=VOLUME, path=FILE, device=COUNT, inode=COUNT, domains=optional(many(UUID)),
    )  # fmt: skip
    keeps = Shape(directory=mounted.DIRECTORY, operation=NAME)

    def touches(self, params: Json) -> tuple[str, ...]:
        guests = tuple(f"domain:{uuid}" for uuid in params.get("domains", ()))
        return (f"disk:{params['path']}", f"file:{params['path']}", *guests)

    def put_back(self, params: Json) -> str:
        return f"{params['path']} says the same to its guests, whether it was replaced or not"

    def baseline(self, params: Json, host: Host) -> Json:
        return place.noted(host.paths.at(params["path"]), host)

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:
        from vfioctl.txn.machine import Machine

        params, path = proposal.params, host.paths.at(proposal.params["path"])
        if found := (*super().check(proposal, host), *place.findings(path, host)):
            yield from found
            return
        if problem := host.ask(path, lambda: next(_problems(params, path), None)):
            yield Finding(*problem)
            return
        try:
            compact.source_of(Machine.of(host), path)
        except StepFailed as error:
            yield Finding(error.code, error.message, hint=" ".join(error.hints))

    def must_fit(self, params: Json, thing: Volume, machine: Machine) -> None:
        path = thing.handle.path()
        if path != machine.paths.at(params["path"]):
            said = f"The volume {params['name']} is another file than when this was planned."
            raise StepRefused("volume.changed", said, hints=("Look at it, then plan it once more.",))
        must_not_be_open(params, path)
        must_be_at_rest(users(machine, params, path), path)

    def state(self, step: Step, paths: Paths, thing: Volume) -> State:  # noqa: ARG002
        """What libvirt says tells nothing: the file does, at which `probe` looks."""
        return State.BEFORE

    def guard(self, step: Step, machine: Machine) -> None:
        place.bounded(step, machine, lambda there: _guard(step, machine, there))
        super().guard(step, machine)

    def apply(self, step: Step, machine: Machine) -> str | None:
        path = machine.paths.at(step.params["path"])
        try:
            with Place(path) as there:
                if _probe(step, there) is State.AFTER:
                    return f"{path} was written anew already"
                note = compact.replace(step, machine, there, lambda fd: self._must_be_unused(step, machine, there, fd))
        except OSError as error:
            raise StepFailed("file.write_failed", f"{path} could not be written anew: {error.strerror}.") from error
        self.on(step, machine, lambda volume: volume.refresh())
        return note

    def _must_be_unused(self, step: Step, machine: Machine, there: Place, source: int) -> None:
        """As late as can be: rename(2) asks nobody."""
        if locks.is_open(source):
            raise StepRefused("disk.busy", f"{there.path} is in use: a guest or a program has opened it meanwhile.")
        if problem := next(_problems(step.params, there.path), None):
            raise StepRefused(*problem)
        must_be_at_rest(users(machine, step.params, there.path), there.path)
        must_have_no_user(machine, there.path)

    def probe(self, step: Step, machine: Machine) -> State:
        return place.state(step, machine, lambda there: _probe(step, there))

    def undo(self, step: Step, machine: Machine) -> str | None:
        nowhere = "its directory is gone"
        return place.bounded(step, machine, lambda there: _undo(step, there), nowhere=lambda: nowhere)

    def foreign(self, step: Step, machine: Machine) -> str:
        path = machine.paths.at(step.params["path"])
        return f"{path} is gone, or somebody else has put another file there; it stays so."


def _identity(status: os.stat_result) -> list[int]:
    return [status.st_dev, status.st_ino]


def _problems(params: Json, path: str) -> Iterator[Problem]:
    """What of the file at `path` speaks against it, by code and sentence. Raises OSError."""
    status, directory = os.lstat(path), os.path.dirname(path)
    if not stat.S_ISREG(status.st_mode):
        yield "volume.format", f"{path} is no plain file, and is not compacted."
    elif _identity(status) != [params["device"], params["inode"]]:
        yield "volume.changed", f"{path} is another file than when this was planned."
    elif status.st_nlink > 1:
        yield "disk.unsupported", f"{path} has further names (hard links), which would keep what is to be replaced."
    if not keeps_marks(directory):
        why = "keeps no extended attributes, which would say who has written it"
        yield "disk.unmarked", f"The file system of {directory} {why}."


def _guard(step: Step, machine: Machine, there: Place) -> None:
    """Raise StepRefused where it is not as planned. What was done already is no reason."""
    place.must_be_safe(there.path, machine.paths.root)
    if _probe(step, there) is State.AFTER:
        return
    try:
        problem = next(_problems(step.params, there.path), None)
    except FileNotFoundError:
        problem = ("volume.changed", f"{there.path} is gone.")
    if problem:
        raise StepRefused(*problem)


def _probe(step: Step, there: Place) -> State:
    found = there.status(there.name)
    if there.status(compact.part_of(step, there)):
        return State.BETWEEN
    if found is None:
        return State.FOREIGN
    if _identity(found) == [step.params["device"], step.params["inode"]]:
        return State.BEFORE
    return State.AFTER if _author(there) == str(step.baseline["operation"]) else State.FOREIGN


def _author(there: Place) -> str:
    """The operation that has written it anew; "" for none, and for what is no plain file."""
    try:
        fd = there.open(there.name)
    except OSError:
        return ""
    try:
        return os.getxattr(fd, compact.COMPACTED).decode(errors="replace")
    except OSError:  # it has no such attribute
        return ""
    finally:
        os.close(fd)


def _undo(step: Step, there: Place) -> str | None:
    if there.status(part := compact.part_of(step, there)):
        there.remove(part)
        there.sync()
        return None
    return f"{there.path} is whole, and says the same to its guests"


KIND = VolumeCompact()
