"""directory.copy: copies some files of a directory into a new one beside it, whole or not at all, as the same owners'.

It is made under another name, and marked, before it gets its own. Never writes to one that is there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator

from vfioctl import files
from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed, StepRefused
from vfioctl.findings import Finding
from vfioctl.kinds.common import Primitive
from vfioctl.kinds.files import mounted
from vfioctl.kinds.files.marks import mark, mark_of, removal, temporary_name
from vfioctl.shell import call
from vfioctl.txn.shape import ABSOLUTE, NAME, UUID, Form, Shape, is_text, many, optional
from vfioctl.txn.step import Lifetime, Scope, State, Undo

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step, StepProposal

LARGEST = 16 << 20  # bytes of a file: what is larger is for file.copy
PERMISSIONS = 0o777
BELOW = Form(
    "a path below a directory",
    lambda value: is_text(value) and all(part not in ("", ".", "..") for part in value.split("/")),
)


class DirectoryCopy(Primitive):
    """{source, dest, files, domain?}: source, dest: absolute paths, two directories of one that only root changes;
    files: those that are copied, small ones, by their paths below source; domain: the UUID of a guest that does not
    start meanwhile"""

    name = "directory.copy"
    summary = "Copies files into a new directory, such as the state of a guest's TPM; removed again only on failure."
    marks = True
    undo_class = Undo.EXACT
    scope = Scope.TRANSACTION
    lifetime = Lifetime.DISK
    takes = Shape(source=ABSOLUTE, dest=ABSOLUTE, files=many(BELOW), domain=optional(UUID))
    keeps = Shape(directory=mounted.DIRECTORY, operation=NAME)

    def unfit(self, params: Json) -> str:
        if found := super().unfit(params):
            return found
        (place, name), (other, copy) = os.path.split(params["source"]), os.path.split(params["dest"])
        return "" if place == other and name != copy and copy else f"dest is {params['dest']}, not beside source"

    def resource(self, params: Json) -> str:
        return f"file:{params['dest']}"

    def touches(self, params: Json) -> tuple[str, ...]:
        return (f"domain:{params['domain']}",) if "domain" in params else ()

    def makes(self, params: Json) -> tuple[str, ...]:
        return (params["dest"],)

    def put_back(self, params: Json) -> str:  # noqa: ARG002
        return "it is removed"

    def baseline(self, params: Json, host: Host) -> Json:
        dest = host.paths.at(params["dest"])
        return host.ask(dest, lambda: mounted.noted(os.path.dirname(dest)))

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:
        source, dest = (host.paths.at(proposal.params[name]) for name in ("source", "dest"))
        for name in proposal.params["files"]:
            if why := host.ask(source, lambda name=name: _unfit(f"{source}/{name}")):  # type: ignore[misc]
                yield Finding("file.missing", f"{source}/{name} cannot be copied: {why}.")
        if host.ask(dest, lambda: os.path.lexists(dest)):
            yield Finding("file.exists", f"{dest} is there already.", hint=f"{removal(dest)}.")

    def apply(self, step: Step, machine: Machine) -> str | None:
        dest = machine.paths.at(step.params["dest"])
        return machine.reach.ask(dest, lambda: _apply(step, machine.paths), deadline=step.deadline)

    def probe(self, step: Step, machine: Machine) -> State:
        dest = machine.paths.at(step.params["dest"])
        return State(machine.reach.ask(dest, lambda: _probe(step, machine.paths), deadline=step.deadline))

    def undo(self, step: Step, machine: Machine) -> str | None:
        dest = machine.paths.at(step.params["dest"])
        return machine.reach.ask(dest, lambda: _undo(step, machine.paths), deadline=step.deadline)

    def foreign(self, step: Step, machine: Machine) -> str:
        return f"{machine.paths.at(step.params['dest'])} was made by somebody else and stays."

    def render_undo(self, step: Step, paths: Paths) -> tuple[str, ...]:
        """A shell cannot tell whose it is: getfattr(1) is installed nowhere by itself."""
        return (call("say", f"{paths.at(step.params['dest'])} is left to: vfioctl recover"),)


def _unfit(path: str) -> str:
    """Why the file is not copied; "" for nothing."""
    try:
        found = os.lstat(path)
    except OSError as error:
        return error.strerror or "it cannot be seen"
    if not stat.S_ISREG(found.st_mode):
        return "it is no plain file"
    return f"it is larger than {LARGEST >> 20} MiB" if found.st_size > LARGEST else ""


def _apply(step: Step, paths: Paths) -> str | None:
    dest, temporary = _places(step, paths)
    if os.path.lexists(dest):
        if _is_ours(step, paths, dest):
            return f"{dest} is there already"
        raise StepRefused("file.exists", f"{dest} was made by somebody else since this was planned.",
                          hints=(removal(dest),))  # fmt: skip
    try:
        _remove(step, temporary)
        _make(step, paths, temporary)
        os.rename(temporary, dest)  # onto one with something in it rename(2) does not
        files.sync_dir(os.path.dirname(dest))
    except OSError as error:
        said = f"{step.params['source']} could not be copied to {dest}: {error.strerror or error}."
        raise StepFailed("file.copy_failed", said) from error
    finally:
        _remove(step, temporary)
    return None


def _make(step: Step, paths: Paths, place: str) -> None:
    """The marked directory at `place` with all that is to be in it, durable."""
    source = paths.at(step.params["source"])
    os.mkdir(place, files.PRIVATE_DIR)
    fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        mark(fd, _operation(step))
    finally:
        os.close(fd)
    for name in _directories(step):
        os.mkdir(f"{place}/{name}", files.PRIVATE_DIR)
    for name in step.params["files"]:
        _copy(f"{source}/{name}", f"{place}/{name}")
    for name in ("", *_directories(step)):
        _dress(f"{source}/{name}", f"{place}/{name}")
        files.sync_dir(f"{place}/{name}")


def _copy(source: str, dest: str) -> None:
    """Bytes, owner and permissions. Raises OSError, StepRefused for what was written to meanwhile."""
    began = os.lstat(source)
    content = files.read_bytes(source, foreign=True, limit=LARGEST)
    if os.lstat(source).st_mtime_ns != began.st_mtime_ns:
        raise StepRefused("disk.busy", f"{source} was written to while it was copied.")
    fd = files.create(dest)
    try:
        files.write_all(fd, content)
        os.fchown(fd, began.st_uid, began.st_gid)
        os.fchmod(fd, began.st_mode & PERMISSIONS)
        os.fsync(fd)
    finally:
        os.close(fd)


def _dress(source: str, dest: str) -> None:
    found = os.stat(source)
    os.chown(dest, found.st_uid, found.st_gid)
    os.chmod(dest, found.st_mode & PERMISSIONS)


def _probe(step: Step, paths: Paths) -> State:
    dest = _places(step, paths)[0]
    return mounted.sure(_shown(step, paths), step, os.path.dirname(dest))


def _shown(step: Step, paths: Paths) -> State:
    dest, temporary = _places(step, paths)
    if os.path.lexists(dest):
        return State.AFTER if _is_ours(step, paths, dest) else State.FOREIGN
    return State.BETWEEN if os.path.lexists(temporary) else State.BEFORE


def _undo(step: Step, paths: Paths) -> str | None:
    dest, temporary = _places(step, paths)
    _remove(step, temporary)
    if not _is_ours(step, paths, dest):
        return f"{dest} is not there, or not ours"
    _remove(step, dest)
    files.sync_dir(os.path.dirname(dest))
    return f"{dest} has something else in it by now, and stays" if os.path.lexists(dest) else None


def _is_ours(step: Step, paths: Paths, place: str) -> bool:
    """Its mark proves it; where the file system keeps none, that it has the same bytes, which are lost nowhere."""
    if os.path.islink(place) or not os.path.isdir(place):
        return False
    author, source = mark_of(place), paths.at(step.params["source"])
    if author is not None:
        return author == _operation(step)
    return all(_same(f"{source}/{name}", f"{place}/{name}") for name in step.params["files"])


def _same(one: str, other: str) -> bool:
    if _unfit(one) or _unfit(other):
        return False
    first, second = (files.read_bytes(path, foreign=True, limit=LARGEST) for path in (one, other))
    return first == second


def _remove(step: Step, place: str) -> None:
    """What this step makes there, and no more: a directory with something else in it stays."""
    for name in step.params["files"]:
        files.remove(f"{place}/{name}")
    for name in (*sorted(_directories(step), reverse=True), ""):
        try:
            os.rmdir(f"{place}/{name}".rstrip("/"))
        except OSError:  # it is not there, or not empty
            continue


def _directories(step: Step) -> Iterator[str]:
    """Those between the directory and its files, each after the one that it is in."""
    found = set()
    for name in step.params["files"]:
        parts = name.split("/")[:-1]
        found |= {"/".join(parts[: end + 1]) for end in range(len(parts))}
    return iter(sorted(found))


def _places(step: Step, paths: Paths) -> tuple[str, str]:
    """Where the copy goes, and where it is made."""
    dest = paths.at(step.params["dest"])
    place, name = os.path.split(dest)
    return dest, f"{place}/{temporary_name(name, _operation(step), 'vfioctl-new')}"


def _operation(step: Step) -> str:
    return str(step.baseline["operation"])


KIND = DirectoryCopy()
