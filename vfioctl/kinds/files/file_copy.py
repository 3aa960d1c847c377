"""file.copy: copies a file, whole and durable or not at all. Never overwrites or removes one that it did not make."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress

from vfioctl import files
from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import DeadlineExceeded, StepFailed, StepRefused, Unanswered
from vfioctl.findings import Finding
from vfioctl.kinds.common import Primitive
from vfioctl.kinds.files import mounted, sparse
from vfioctl.kinds.files.marks import mark, mark_of, removal, temporary_name
from vfioctl.shell import call
from vfioctl.txn.clock import Deadline
from vfioctl.txn.machine import unwatched
from vfioctl.txn.shape import ABSOLUTE, FLAG, TEXT, UUID, Shape, optional
from vfioctl.txn.step import Lifetime, Scope, State, Undo

if TYPE_CHECKING:
    from typing import TypeVar

    from vfioctl.followed import Say
    from vfioctl.host.host import Host
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step, StepProposal

    T = TypeVar("T")

CHUNK = 1 << 20


class FileCopy(Primitive):
    """{source, dest, domain?}: source, dest: absolute paths on the host, two files of one directory; domain: the UUID
    of the guest whose image the source is: it does not start meanwhile, and what it writes to is not copied"""

    name = "file.copy"
    summary = "Copies a file, such as a guest's NVRAM beside its snapshot; removed again only when the start fails."
    marks = True
    undo_class = Undo.EXACT
    scope = Scope.TRANSACTION
    lifetime = Lifetime.DISK
    takes = Shape(source=ABSOLUTE, dest=ABSOLUTE, domain=optional(UUID))
    keeps = Shape(exists=FLAG, directory=mounted.DIRECTORY, operation=optional(TEXT))

    def unfit(self, params: Json) -> str:
        """Its undo removes the copy, so that one lies beside its source and nowhere else."""
        if found := super().unfit(params):
            return found
        (place, name), (other, copy) = os.path.split(params["source"]), os.path.split(params["dest"])
        return "" if place == other and name != copy and copy else f"dest is {params['dest']}, not a file beside source"

    def resource(self, params: Json) -> str:
        return f"file:{params['dest']}"

    def touches(self, params: Json) -> tuple[str, ...]:
        return (f"domain:{params['domain']}",) if "domain" in params else ()

    def makes(self, params: Json) -> tuple[str, ...]:
        return (params["dest"],)

    def baseline(self, params: Json, host: Host) -> Json:
        dest = host.paths.at(params["dest"])
        return host.ask(dest, lambda: {"exists": os.path.lexists(dest), **mounted.noted(os.path.dirname(dest))})

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:
        source, dest = (host.paths.at(proposal.params[name]) for name in ("source", "dest"))
        if not host.ask(source, lambda: _is_plain(source)):
            yield Finding("file.missing", f"There is no file {source} to be copied.")
        elif host.ask(host.reach.worst(source, dest), lambda: os.path.lexists(dest) and not _is_same(source, dest)):
            yield Finding("file.exists", f"{dest} is there already, with another content.", hint="Rename it.")
        elif not host.ask(dest, lambda: os.path.isdir(os.path.dirname(dest))):
            yield Finding("file.missing", f"There is no directory {os.path.dirname(dest)} for a copy.")

    def apply(self, step: Step, machine: Machine) -> str | None:
        path = machine.reach.worst(*_paths(step, machine))
        if not machine.reach.is_doubtful(path):
            return self._apply(step, machine)
        return _aside(self._apply, step, machine, path)

    def probe(self, step: Step, machine: Machine) -> State:
        return State(_bounded(self._probe, step, machine))

    def undo(self, step: Step, machine: Machine) -> str | None:
        return _bounded(self._undo, step, machine)

    def _apply(self, step: Step, machine: Machine) -> str | None:
        source, dest = _paths(step, machine)
        if os.path.lexists(dest):
            return _there_already(step, machine)
        temporary = _temporary(step, dest)
        deadline = Deadline(step.deadline)
        try:
            began = _at_rest(step, source)
            _copy(source, temporary, author=_operation(step), told=_teller(machine, deadline, source))
            if _at_rest(step, source) != began:
                raise StepRefused("disk.busy", f"{source} was written to while it was copied.")
            _put_in_place(temporary, dest, deadline)
        except OSError as error:
            message = f"{source} could not be copied to {dest}: {error.strerror}."
            raise StepFailed("file.copy_failed", message) from error
        finally:
            files.remove(temporary)
        files.sync_dir(os.path.dirname(dest))
        return None

    def _probe(self, step: Step, machine: Machine) -> State:
        dest = _paths(step, machine)[1]
        return mounted.sure(self._shown(step, machine, dest), step, os.path.dirname(dest))

    def _shown(self, step: Step, machine: Machine, dest: str) -> State:
        if os.path.lexists(_temporary(step, dest)):
            return State.BETWEEN
        if step.baseline["exists"] or not os.path.lexists(dest):
            return State.BEFORE
        return State.AFTER if _is_ours(step, machine) else State.FOREIGN

    def _undo(self, step: Step, machine: Machine) -> str | None:
        dest = _paths(step, machine)[1]
        ours = _is_ours(step, machine)  # the temporary name may be the proof
        files.remove(_temporary(step, dest))
        if step.baseline["exists"]:
            return f"{dest} was there before"
        if not ours:
            return f"{dest} is not there, or not ours"
        files.remove(dest)
        files.sync_dir(os.path.dirname(dest))
        return None

    def foreign(self, step: Step, machine: Machine) -> str:
        dest = _paths(step, machine)[1]
        return f"{dest} was made by somebody else and stays. {removal(dest)}."

    def render_undo(self, step: Step, paths: Paths) -> tuple[str, ...]:
        """A shell cannot tell whose file it is: getfattr(1) is installed nowhere by itself."""
        return (call("say", f"{paths.at(step.params['dest'])} is left to: vfioctl recover"),)


def _bounded(work: Callable[[Step, Machine], T], step: Step, machine: Machine) -> T:
    """What `work` returns, in the step's time. A child that misses it changes nothing more once the path answers."""
    reach = machine.reach
    return reach.ask(reach.worst(*_paths(step, machine)), lambda: work(step, machine), deadline=step.deadline)


def _aside(work: Callable[[Step, Machine], T], step: Step, machine: Machine, path: str) -> T:
    """What `work` returns, done in a child that `path` may keep: it ends with us, and is ended where it has to stop.

    Raises what `work` and a checkpoint raise, and Unanswered where nothing is heard of it in the step's time.
    """
    from vfioctl.kinds.files.beside import beside  # most copies are made on the file system of "/"

    def inside(say: Say) -> T:
        return work(step, machine.watched(lambda done, total, _: say(done, total), unwatched))

    try:
        return beside(machine, path, inside, quiet=step.deadline)
    except StepFailed:
        _must_not_wait(machine, path)
        raise


def _must_not_wait(machine: Machine, path: str) -> None:
    """Remember it where `path` does not answer, so that the undo does not wait for it as long as the step did."""
    with suppress(Unanswered, OSError):
        machine.reach.ask(path, lambda: os.path.lexists(path))


def _paths(step: Step, machine: Machine) -> tuple[str, str]:
    return machine.paths.at(step.params["source"]), machine.paths.at(step.params["dest"])


def _operation(step: Step) -> str:
    """The id of the operation that makes the copy; a plan of schema 1 has none."""
    return str(step.baseline.get("operation", ""))


def _there_already(step: Step, machine: Machine) -> str:
    """Why there is nothing to do although the destination exists; raises StepRefused when it is somebody else's."""
    source, dest = _paths(step, machine)
    same = _is_same(source, dest)
    if _bears_our_mark(step, dest) or (same and step.baseline["exists"]):
        return f"{dest} is there already"
    which = "made by somebody else since this was planned" if same else "with another content"
    raise StepRefused("file.exists", f"{dest} is there already, {which}.", hints=(removal(dest),))


def _is_ours(step: Step, machine: Machine) -> bool:
    """Whether the destination is the copy that this step made.

    Its mark proves it. Where the file system keeps none, and for plans of schema 1, it is ours while our temporary name
    is a link to the same file, or while it has the bytes of the source: then nothing is lost with it.
    """
    source, dest = _paths(step, machine)
    marked = _bears_our_mark(step, dest)
    if marked is not None:
        return marked
    temporary = _temporary(step, dest)
    return (_is_plain(temporary) and os.path.samefile(temporary, dest)) or _is_same(source, dest)


def _bears_our_mark(step: Step, dest: str) -> bool | None:
    """Whether `dest` is a file with the mark of this operation; None where it could not have one."""
    operation = _operation(step)
    if not _is_plain(dest):
        return False
    if not operation:
        return None
    found = mark_of(dest)
    return None if found is None else found == operation


def _is_plain(path: str) -> bool:
    """Whether it is a regular file, and no link: the path may come from a domain, and root does the copying."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _temporary(step: Step, dest: str) -> str:
    """One name for one operation, so that what a crash leaves behind is found again."""
    directory, name = os.path.split(dest)
    return os.path.join(directory, temporary_name(name, _operation(step), "vfioctl-new"))


def _is_same(one: str, other: str) -> bool:
    """Whether both are files with the same bytes."""
    if not (_is_plain(one) and _is_plain(other)) or os.path.getsize(one) != os.path.getsize(other):
        return False
    with open(_open_plain(one), "rb") as first, open(_open_plain(other), "rb") as second:
        while chunk := first.read(CHUNK):
            if chunk != second.read(CHUNK):
                return False
    return True


def _copy(source: str, dest: str, *, author: str, told: Callable[[int, int], None]) -> None:
    """Bytes, owner and permissions, not setuid, and the mark of `author`. Raises OSError, and what `told` raises."""
    files.remove(dest)
    with open(_open_plain(source), "rb") as reading:
        status = os.fstat(reading.fileno())
        fd = files.create(dest)
        try:
            if author:
                mark(fd, author)
            sparse.copy(reading.fileno(), fd, told)
            os.fchown(fd, status.st_uid, status.st_gid)
            os.fchmod(fd, status.st_mode & 0o777)
            os.fsync(fd)
        finally:
            os.close(fd)


def _at_rest(step: Step, source: str) -> int:
    """When the image of a guest was last written to, 0 for other files. Raises StepRefused where one may write now."""
    if "domain" not in step.params:
        return 0
    from vfioctl.kinds.disks import locks

    with locks.seen(source) as fd:
        if locks.is_written(fd):
            raise StepRefused("disk.busy", f"{source} is in use: a guest or a program may write to it.")
        return os.fstat(fd).st_mtime_ns


def _teller(machine: Machine, deadline: Deadline, path: str) -> Callable[[int, int], None]:
    """What hears how far a copy of `path` is, and ends it where it has to stop."""

    def told(done: int, size: int) -> None:
        _must_be_in_time(deadline, path)
        machine.checkpoint()
        machine.progress(done, size, "bytes")

    return told


def _must_be_in_time(deadline: Deadline, path: str) -> None:
    if not deadline.left:
        raise DeadlineExceeded("file.deadline", f"Copying {path} took too long.")


def _put_in_place(temporary: str, dest: str, deadline: Deadline) -> None:
    """Give the copy its name unless somebody was faster: link(2) never replaces. Raises StepRefused, OSError."""
    _must_be_in_time(deadline, dest)  # nobody waits for a late one any more, and its start is undone
    try:
        os.link(temporary, dest)
    except FileExistsError as error:
        said = f"{dest} was made by somebody else at this moment."
        raise StepRefused("file.exists", said, hints=(removal(dest),)) from error


def _open_plain(path: str) -> int:
    """Whatever it has become since it was looked at; it is QEMU's user's more often than root's."""
    return files.open_plain(path, foreign=True)


KIND = FileCopy()
