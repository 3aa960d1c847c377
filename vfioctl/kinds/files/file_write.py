"""file.write: writes a file, whole and durable or not at all. What it replaces is put back, byte for byte.

The content is no part of the plan: it lies in a blob (txn/blobs.py), as does what was there before.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed, StepRefused
from vfioctl.files import make_private_dir
from vfioctl.findings import Finding
from vfioctl.frozen import frozen
from vfioctl.kinds.common import Primitive
from vfioctl.kinds.files import mounted, place
from vfioctl.kinds.files.former import FORMER, Former, look, unrestorable
from vfioctl.kinds.files.marks import removal, temporary_name
from vfioctl.kinds.files.place import FILE, MODE, Place
from vfioctl.shell import call
from vfioctl.txn import blobs
from vfioctl.txn.blobs import BLOB
from vfioctl.txn.shape import COUNT, FLAG, NAME, Shape, maybe, optional
from vfioctl.txn.step import Lifetime, Scope, State, Undo

if TYPE_CHECKING:
    from typing import TypeVar

    from vfioctl.host.host import Host
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step, StepProposal

    T = TypeVar("T")

DEFAULT_MODE = "0644"


class FileWrite(Primitive):
    """{path, blob, size, mode?, uid?, gid?, replace?, theirs?, directory?, for_good?}: blob: the content's name, which
    `vfioctl.txn.blobs.store` gives, and size its bytes; mode: "0644" unless it says otherwise; uid, gid: those of who
    runs it, likewise; replace: a file that is there is replaced, and put back by the undo; one that has changed since
    the plan is not; theirs: its directory may be another user's, as that of a TPM's state is; the way to it may not;
    directory: the mode of that directory, which is made where it is not there, and stays; for_good: no undo, since what
    was there is not true any more once the steps after it have begun"""

    name = "file.write"
    summary = "Writes a file from content that lies beside the journal; removed, or put back, only on failure."
    marks = True
    undo_class = Undo.EXACT
    scope = Scope.TRANSACTION
    lifetime = Lifetime.DISK
    takes = Shape(
        path=FILE, blob=BLOB, size=COUNT, mode=optional(MODE), uid=optional(COUNT), gid=optional(COUNT),
        replace=optional(FLAG), theirs=optional(FLAG), directory=optional(MODE), for_good=optional(FLAG),
    )  # fmt: skip
    keeps = Shape(former=maybe(FORMER), directory=mounted.DIRECTORY, operation=NAME)

    def resource(self, params: Json) -> str:
        return f"file:{params['path']}"

    def undo_of(self, params: Json) -> Undo:
        return Undo.NONE if params.get("for_good") else self.undo_class

    def put_back(self, params: Json) -> str:
        if params.get("for_good"):
            return "it stays"
        return "what it replaced is there again" if params.get("replace") else "it is removed"

    def makes(self, params: Json) -> tuple[str, ...]:
        return (params["path"],)

    def baseline(self, params: Json, host: Host) -> Json:
        """What is there, where it is to be replaced."""
        path = host.paths.at(params["path"])
        former = host.ask(path, lambda: _former(path)) if params.get("replace") else None
        return {"former": former, **place.noted(path, host)}

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:
        params, path = proposal.params, host.paths.at(proposal.params["path"])
        yield from place.findings(path, host, theirs=params.get("theirs", False), made="directory" in params)
        if not blobs.is_there(host.paths, params["blob"]):
            yield Finding("blob.missing", f"The content for {path} is not there: {params['blob']}.")
        if params.get("replace"):
            if why := host.ask(path, lambda: unrestorable(path)):
                yield Finding("file.unrestorable", f"{path} cannot be replaced: {why}.")
        elif host.ask(path, lambda: os.path.lexists(path)):
            yield Finding("file.exists", f"{path} is there already.", hint=f"{removal(path)}.")

    def guard(self, step: Step, machine: Machine) -> None:
        made = "directory" in step.params
        _bounded(_guard, step, machine, nowhere=(lambda: None) if made else None)

    def apply(self, step: Step, machine: Machine) -> None:
        if mode := step.params.get("directory", ""):
            _make_directory(machine, step, int(mode, 8))
            _bounded(_guard, step, machine)  # what was not there has not been judged
        _bounded(_apply, step, machine)

    def probe(self, step: Step, machine: Machine) -> State:
        return place.state(step, machine, lambda there: _probe(Work(step, machine.paths, there)))

    def undo(self, step: Step, machine: Machine) -> str | None:
        if step.params.get("for_good"):
            return "it stays"
        return _bounded(_undo, step, machine, nowhere=lambda: "its directory is gone")

    def foreign(self, step: Step, machine: Machine) -> str:
        path = machine.paths.at(step.params["path"])
        return f"{path} was made or changed by somebody else and stays. {removal(path)}."

    def render_undo(self, step: Step, paths: Paths) -> tuple[str, ...]:
        """A shell cannot tell whose file it is: getfattr(1) is installed nowhere by itself."""
        return (call("say", f"{paths.at(step.params['path'])} is left to: vfioctl recover"),)


@frozen
class Work:
    """One step on an open directory."""

    step: Step
    paths: Paths
    place: Place

    @property
    def operation(self) -> str:
        return str(self.step.baseline["operation"])

    @property
    def temporary(self) -> str:
        return temporary_name(self.place.name, self.operation, "vfioctl-new")

    @property
    def former(self) -> Former | None:
        known = self.step.baseline["former"]
        return Former(**known) if known else None

    def is_ours(self) -> bool:
        """Whether the file is the one that this step made. Nothing is replaced before what was there is kept."""
        began = not self.former or blobs.is_there(self.paths, self.former.blob)
        return self.place.is_by(self.operation, self.temporary, blobs.sha256(self.step.params["blob"]) if began else "")


def _former(path: str) -> Json | None:
    """What is at `path`; None where nothing is, or nothing that could be put back, which `check` says."""
    if not os.path.lexists(path) or unrestorable(path):
        return None
    try:
        with Place(path) as there:
            found, content = look(there)
    except OSError:
        return None  # it has become another one just now, which the guard sees
    return {**found.__dict__, "blob": blobs.new_name(content)}


def _bounded(work: Callable[[Work], T], step: Step, machine: Machine, *, nowhere: Callable[[], T] | None = None) -> T:
    return place.bounded(step, machine, lambda there: work(Work(step, machine.paths, there)), nowhere=nowhere)


def _guard(work: Work) -> None:
    """Raise StepFailed where it is not as the plan says; nothing has been changed."""
    place.must_be_safe(work.place.path, work.paths.root, theirs=work.step.params.get("theirs", False))
    content = blobs.read(work.paths, work.step.params["blob"])
    if len(content) != work.step.params["size"]:
        raise StepRefused("blob.damaged", f"The content for {work.place.path} has not the size that was planned.")
    _must_be_as_planned(work)


def _must_be_as_planned(work: Work) -> None:
    if not work.former:
        place.must_be_free(work.place)
    elif not work.former.is_at(work.place):
        said = f"{work.place.path} was changed between plan and apply."
        raise StepRefused("file.changed", said, hints=("Look at it, then plan it once more.",))


def _make_directory(machine: Machine, step: Step, mode: int) -> None:
    directory = os.path.dirname(machine.paths.at(step.params["path"]))
    try:
        machine.reach.ask(directory, lambda: make_private_dir(directory, mode=mode), deadline=step.deadline)
    except OSError as error:
        raise StepFailed("file.write_failed", f"{directory} could not be made: {error.strerror}.") from error


def _apply(work: Work) -> None:
    params, there = work.step.params, work.place
    content = blobs.read(work.paths, params["blob"])
    try:
        if work.former:
            _keep(work, work.former)
        owner = (params.get("uid", -1), params.get("gid", -1))
        mode = int(params.get("mode", DEFAULT_MODE), 8)
        there.write(work.temporary, content, mode=mode, owner=owner, author=work.operation)
        _put_in_place(work)
    except OSError as error:
        raise StepFailed("file.write_failed", f"{there.path} could not be written: {error.strerror}.") from error
    finally:
        there.remove(work.temporary)


def _keep(work: Work, former: Former) -> None:
    """Keep what is there for the undo. Raises StepRefused when it is not what was planned."""
    found, content = look(work.place)
    if not former.is_like(found):
        raise StepRefused("file.changed", f"{work.place.path} was changed between plan and apply.")
    blobs.store(work.paths, content, former.blob)


def _put_in_place(work: Work) -> None:
    if not work.former:
        work.place.publish(work.temporary)
        return
    _must_be_as_planned(work)  # as late as can be: rename(2) asks nobody
    work.place.replace(work.temporary)


def _probe(work: Work) -> State:
    there, former = work.place, work.former
    if there.status(work.temporary):
        return State.BETWEEN
    if not there.status(there.name):
        mounted.must_be(work.step, there.directory)  # what is not there is put back
        return State.BETWEEN if former and blobs.is_there(work.paths, former.blob) else State.BEFORE
    if former and former.is_at(there):
        return State.BEFORE
    return State.AFTER if work.is_ours() else State.FOREIGN


def _undo(work: Work) -> str | None:
    there, former = work.place, work.former
    gone, ours = not there.status(there.name), work.is_ours()  # the temporary name may be the proof
    there.remove(work.temporary)
    there.sync()
    if former and (gone or ours) and not former.is_at(there):
        _put_back(work, former, gone=gone)
        return None
    if former or not ours:
        return f"{there.path} is not there, or not ours"
    there.remove(there.name)
    there.sync()
    return None


def _put_back(work: Work, former: Former, *, gone: bool) -> None:
    """Bytes, owner, permissions, mark and time of the last change, as they were."""
    content = blobs.read(work.paths, former.blob)
    former.write(work.place, work.temporary, content)
    if gone:
        work.place.publish(work.temporary)
    else:
        work.place.replace(work.temporary)


KIND = FileWrite()
