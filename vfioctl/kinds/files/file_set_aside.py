"""file.set_aside: removes a small file whose content is kept beside the journal, so that the undo puts it back."""

from __future__ import annotations

from collections.abc import Iterable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed, StepRefused
from vfioctl.findings import Finding
from vfioctl.kinds.common import Primitive
from vfioctl.kinds.files import mounted, place
from vfioctl.kinds.files.former import FORMER, Former, look, unrestorable
from vfioctl.kinds.files.marks import removal, temporary_name
from vfioctl.kinds.files.place import FILE, Place
from vfioctl.txn import blobs
from vfioctl.txn.blobs import new_name
from vfioctl.txn.shape import NAME, Form, Shape, maybe
from vfioctl.txn.step import Lifetime, Scope, State, Undo

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step, StepProposal

SHA256 = Form("a sha256", lambda value: blobs.is_name(f"{value}.{'0' * 16}"))


class FileSetAside(Primitive):
    """{path, sha256}: path: the absolute path of a file; sha256: of the content that it has: with another one it
    stays"""

    name = "file.set_aside"
    summary = "Removes a file that nothing needs any more, such as a setting of ours; put back only on failure."
    marks = True
    in_hooks = False
    undo_class = Undo.EXACT
    scope = Scope.TRANSACTION
    lifetime = Lifetime.DISK
    takes = Shape(path=FILE, sha256=SHA256)
    keeps = Shape(former=maybe(FORMER), directory=mounted.DIRECTORY, operation=NAME)

    def resource(self, params: Json) -> str:
        return f"file:{params['path']}"

    def baseline(self, params: Json, host: Host) -> Json:
        path = host.paths.at(params["path"])
        return {"former": host.ask(path, lambda: _former(path)), **place.noted(path, host)}

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:
        params, path = proposal.params, host.paths.at(proposal.params["path"])
        yield from place.findings(path, host)
        if why := host.ask(path, lambda: unrestorable(path)):
            yield Finding("file.unrestorable", f"{path} cannot be removed: {why}.")
        elif not _is_meant(host.ask(path, lambda: _former(path)), params["sha256"]):
            yield Finding("file.changed", f"{path} is not there, or is not the file that is to be removed.")

    def guard(self, step: Step, machine: Machine) -> None:
        """Raise StepRefused where it is another one by now."""
        place.must_be_safe(machine.paths.at(step.params["path"]), machine.paths.root)
        place.bounded(step, machine, lambda there: _guard(step, there))

    def apply(self, step: Step, machine: Machine) -> None:
        place.bounded(step, machine, lambda there: _apply(step, machine.paths, there))

    def probe(self, step: Step, machine: Machine) -> State:
        return place.state(step, machine, lambda there: _probe(step, machine.paths, there))

    def undo(self, step: Step, machine: Machine) -> None:
        place.bounded(step, machine, lambda there: _undo(step, machine.paths, there))

    def foreign(self, step: Step, machine: Machine) -> str:
        path = machine.paths.at(step.params["path"])
        return f"{path} was made or changed by somebody else and stays. {removal(path)}."


def _former(path: str) -> Json | None:
    """What is at `path`; None where nothing is, or nothing that could be put back, which `check` says."""
    try:
        with Place(path) as there:
            found, content = look(there)
    except OSError:
        return None
    return {**found.__dict__, "blob": new_name(content)}


def _is_meant(former: Json | None, sha256: str) -> bool:
    return former is not None and blobs.sha256(former["blob"]) == sha256


def _known(step: Step) -> Former:
    """What was there. Raises StepRefused where nothing was at the time of the plan."""
    if step.baseline["former"] is None:
        raise StepRefused("file.changed", f"{step.params['path']} was not there when this was planned.")
    return Former(**step.baseline["former"])


def _guard(step: Step, there: Place) -> None:
    if not _known(step).is_at(there):
        said = f"{there.path} was changed between plan and apply."
        raise StepRefused("file.changed", said, hints=("Look at it, then plan it once more.",))


def _apply(step: Step, paths: Paths, there: Place) -> None:
    former = _known(step)
    try:
        found, content = look(there)
        if not former.is_like(found):
            raise StepRefused("file.changed", f"{there.path} was changed between plan and apply.")
        blobs.store(paths, content, former.blob)
        there.remove(there.name)
        there.sync()
    except OSError as error:
        raise StepFailed("file.write_failed", f"{there.path} could not be removed: {error.strerror}.") from error


def _probe(step: Step, paths: Paths, there: Place) -> State:
    former = _known(step)
    if there.status(_temporary(step, there)):
        return State.BETWEEN
    if not there.status(there.name):
        mounted.must_be(step, there.directory)  # what is not there is put back
        return State.AFTER if blobs.is_there(paths, former.blob) else State.FOREIGN
    return State.BEFORE if former.is_at(there) else State.FOREIGN


def _undo(step: Step, paths: Paths, there: Place) -> None:
    """Bytes, owner, permissions, mark and time of the last change, as they were."""
    former, temporary = _known(step), _temporary(step, there)
    there.remove(temporary)
    if there.status(there.name):
        return
    former.write(there, temporary, blobs.read(paths, former.blob))
    there.publish(temporary)


def _temporary(step: Step, there: Place) -> str:
    return temporary_name(there.name, str(step.baseline["operation"]), "vfioctl-new")


KIND = FileSetAside()
