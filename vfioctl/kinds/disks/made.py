"""What the steps share that make a disk image: under a temporary name, marked, then linked. Knows no qemu-img.

One mark says who made it, another one how it was left. An image that somebody has written to since, or has open, is not
taken away, since what a guest has written would go with it; nor is one that a guest is configured with, whose
configuration somebody else has edited and keeps. The step answers FOREIGN then.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed
from vfioctl.findings import Finding
from vfioctl.kinds.common import Primitive
from vfioctl.kinds.disks import locks
from vfioctl.kinds.files import mounted, place
from vfioctl.kinds.files.marks import MARK, UNMARKABLE, mark, mark_of, removal, temporary_name
from vfioctl.kinds.files.place import Place
from vfioctl.shell import call
from vfioctl.txn.shape import NAME, Shape
from vfioctl.txn.step import Lifetime, Scope, State, Undo

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step, StepProposal

LEFT = "user.vfioctl.left"  # an extended attribute: the time of the last change that is the step's own (mtime, ns)
LABEL = "security.selinux"
SLACK = 16 << 20  # bytes that are to be free beside what an image needs


class Making(Primitive):
    """Makes the image `path`, which gets `mode`, `owner`, `group` and `label`; a kind fills it."""

    in_hooks = False
    marks = True
    undo_class = Undo.EXACT
    scope = Scope.TRANSACTION
    lifetime = Lifetime.DISK
    keeps = Shape(directory=mounted.DIRECTORY, operation=NAME)

    def needed(self, params: Json, paths: Paths) -> int:  # noqa: ARG002
        """How many bytes it takes on the disk at most. Raises OSError, StepFailed."""
        return 0

    def must_fit(self, params: Json, machine: Machine) -> None:
        """Raise StepFailed where it cannot be made from what it is to be made from; changes nothing."""

    def fill(self, step: Step, machine: Machine, fd: int) -> None:
        """Write the image into the empty file `fd`. Raises StepFailed, OSError."""

    def resource(self, params: Json) -> str:
        return f"file:{params['path']}"

    def put_back(self, params: Json) -> str:  # noqa: ARG002
        return "it is removed, unless a guest has written to it since"

    def makes(self, params: Json) -> tuple[str, ...]:
        return (params["path"],)

    def baseline(self, params: Json, host: Host) -> Json:
        return place.noted(host.paths.at(params["path"]), host)

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:
        params, path = proposal.params, host.paths.at(proposal.params["path"])
        if host.ask(path, lambda: os.path.lexists(path)):
            yield Finding("file.exists", f"{path} is there already.", hint=f"{removal(path)}.")
        if found := tuple(place.findings(path, host)):
            yield from found
            return
        yield from (Finding(*said) for said in host.ask(path, lambda: tuple(_storage(path))))
        yield from self._sources(params, host, path)

    def _sources(self, params: Json, host: Host, path: str) -> Iterator[Finding]:
        from vfioctl.txn.machine import Machine

        try:
            self.must_fit(params, Machine.of(host))
            needed = host.ask(path, lambda: self.needed(params, host.paths))
        except StepFailed as error:
            yield Finding(error.code, error.message, hint=" ".join(error.hints))
            return
        if (free := host.ask(path, lambda: _free(path))) < needed + SLACK:
            said = f"{os.path.dirname(path)} has {free >> 20} MiB free; {path} may need {(needed + SLACK) >> 20} MiB."
            yield Finding("disk.no_room", said, hint="Make room first.")

    def guard(self, step: Step, machine: Machine) -> None:
        if place.bounded(step, machine, lambda there: _guard(step, machine, there)):
            self.must_fit(step.params, machine)

    def apply(self, step: Step, machine: Machine) -> str | None:
        """Not in a child that could be left behind: it tells how far it is, and may take hours."""
        path = machine.paths.at(step.params["path"])
        try:
            with Place(path) as there:
                there.remove(_temporary(step, there))
                if _is_ours(step, there):
                    return f"{path} is there already"
                self._make(step, machine, there)
        except OSError as error:
            raise StepFailed("file.write_failed", f"{path} could not be written: {error.strerror}.") from error
        return None

    def _make(self, step: Step, machine: Machine, there: Place) -> None:
        params, temporary = step.params, _temporary(step, there)
        fd = there.create(temporary)
        try:
            mark(fd, _operation(step))
            self.fill(step, machine.holding(fd), fd)
            if "label" in params:
                os.setxattr(fd, LABEL, params["label"].encode() + b"\0")
            os.setxattr(fd, LEFT, str(os.fstat(fd).st_mtime_ns).encode())
            place.dress(fd, mode=int(params["mode"], 8), owner=(params["owner"], params["group"]))
            there.publish(temporary)
        except BaseException:
            there.remove(temporary)
            raise
        finally:
            os.close(fd)

    def probe(self, step: Step, machine: Machine) -> State:
        found = place.state(step, machine, lambda there: _probe(step, there))
        return State.FOREIGN if found is State.AFTER and self._is_needed(step, machine) else found

    def _is_needed(self, step: Step, machine: Machine) -> bool:
        """Whether a guest would come to it, once the other steps are undone."""
        if not (uri := step.params.get("uri", "")):
            return False
        from vfioctl.kinds.disks.users import way_to

        return bool(way_to(machine, uri, step.params.get("domain", ""), machine.paths.at(step.params["path"])))

    def undo(self, step: Step, machine: Machine) -> str | None:
        nowhere = "its directory is gone"
        return place.bounded(step, machine, lambda there: _undo(step, there), nowhere=lambda: nowhere)

    def foreign(self, step: Step, machine: Machine) -> str:
        path = machine.paths.at(step.params["path"])
        ours = place.bounded(step, machine, lambda there: _is_marked(step, there), nowhere=bool)
        what = "is needed by a guest, or was written to since it was made," if ours else "was made by somebody else"
        return f"{path} {what} and stays. {removal(path)}."

    def render_undo(self, step: Step, paths: Paths) -> tuple[str, ...]:
        """A shell cannot tell whose file it is: getfattr(1) is installed nowhere by itself."""
        return (call("say", f"{paths.at(step.params['path'])} is left to: vfioctl recover"),)


def _storage(path: str) -> Iterator[tuple[str, str]]:
    """What speaks against making an image in the directory of `path`, by code and sentence."""
    directory = os.path.dirname(path)
    if os.statvfs(directory).f_flag & os.ST_RDONLY:
        yield "disk.read_only", f"{directory} is on a file system that is mounted read-only."
    try:
        os.getxattr(directory, MARK)
    except OSError as error:
        if error.errno in UNMARKABLE:
            what = "keeps no extended attributes, which would say whose image it is"
            yield "disk.unmarked", f"The file system of {directory} {what}."


def _free(path: str) -> int:
    """Bytes that root may still write beside `path`."""
    found = os.statvfs(os.path.dirname(path))
    return found.f_bfree * found.f_frsize


def _guard(step: Step, machine: Machine, there: Place) -> bool:
    """Whether it is still to be made. Raises StepRefused where somebody else has the name."""
    place.must_be_safe(there.path, machine.paths.root)
    if _is_ours(step, there):
        return False
    place.must_be_free(there)
    return True


def _probe(step: Step, there: Place) -> State:
    if there.status(_temporary(step, there)):
        return State.BETWEEN
    if not there.status(there.name):
        return State.BEFORE
    return State.AFTER if _is_ours(step, there) else State.FOREIGN


def _undo(step: Step, there: Place) -> str | None:
    there.remove(_temporary(step, there))
    if ours := _is_ours(step, there):
        there.remove(there.name)
    there.sync()
    return None if ours else f"{there.path} is not there, or not ours"


def _is_marked(step: Step, there: Place) -> bool:
    return there.author(there.name) == _operation(step)


def _is_ours(step: Step, there: Place) -> bool:
    """Whether it is the image that this step made, as it was left, and nobody has it open."""
    try:
        fd = there.open(there.name)
    except OSError:
        return False
    try:
        return mark_of(fd) == _operation(step) and _is_as_left(fd)
    except OSError:
        return False  # it has no such attribute
    finally:
        os.close(fd)


def is_changed(path: str, author: str = "") -> bool:
    """Whether the image, which a step of the operation `author` made (of any, for ""), was written to since or is open.

    One that no step made is not. Nor is one that we may not read: libvirt made it for us, and nobody could mark it.
    """
    try:
        with locks.seen(path) as fd:
            made = LEFT in os.listxattr(fd) and author in ("", mark_of(fd))
            return made and not _is_as_left(fd)
    except PermissionError:
        return False


def _is_as_left(fd: int) -> bool:
    """Whether nobody has written to it since, or has it open. Raises OSError where it has no such attribute."""
    return os.getxattr(fd, LEFT) == str(os.fstat(fd).st_mtime_ns).encode() and not locks.is_open(fd)


def _operation(step: Step) -> str:
    return str(step.baseline["operation"])


def _temporary(step: Step, there: Place) -> str:
    return temporary_name(there.name, _operation(step), "vfioctl-new")
