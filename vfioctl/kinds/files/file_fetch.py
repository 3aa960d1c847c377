"""file.fetch: downloads a file over HTTP, whole and checked or not at all. Never replaces one that is there."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed, StepRefused, VfioctlError
from vfioctl.findings import Finding
from vfioctl.kinds.common import Primitive
from vfioctl.kinds.files import addresses, mounted, partial, place
from vfioctl.kinds.files.marks import mark_of, removal
from vfioctl.kinds.files.place import FILE, MODE, Place
from vfioctl.shell import call
from vfioctl.txn.shape import COUNT, NAME, Form, Shape, optional
from vfioctl.txn.step import Lifetime, Scope, State, Undo

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.kinds.files.aside import Filler
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step, StepProposal

DEFAULT_MODE = "0644"
DEFAULT_LIMIT = 64 << 30  # bytes
CHECKSUM = re.compile(r"[0-9a-f]{64}")
URL = Form("an address of http or https without a password", addresses.is_address)
SHA256 = Form("a sha256 in hex digits", lambda value: isinstance(value, str) and CHECKSUM.fullmatch(value) is not None)


class FileFetch(Primitive):
    """{url, path, sha256?, limit?, mode?, uid?, gid?}: path: where it is to be on the host; sha256: what it must have,
    needed unless the url is https; limit: the most bytes that are taken, 64 GiB unless it says otherwise; mode: "0644"
    unless it says otherwise; uid, gid: those of who runs it, likewise"""

    name = "file.fetch"
    summary = "Downloads a file, goes on where it was cut off, and checks it; removed again only on failure."
    marks = True
    undo_class = Undo.EXACT
    scope = Scope.TRANSACTION
    lifetime = Lifetime.DISK
    takes = Shape(
        url=URL, path=FILE, sha256=optional(SHA256), limit=optional(COUNT), mode=optional(MODE), uid=optional(COUNT),
        gid=optional(COUNT),
    )  # fmt: skip
    keeps = Shape(directory=mounted.DIRECTORY, operation=NAME)

    def unfit(self, params: Json) -> str:
        """Over plain HTTP anybody on the way can change what comes, so that a checksum is needed."""
        if found := super().unfit(params):
            return found
        return "" if params["url"].startswith("https:") or "sha256" in params else "sha256 is missing, as url is http"

    def resource(self, params: Json) -> str:
        return f"file:{params['path']}"

    def put_back(self, params: Json) -> str:  # noqa: ARG002
        return "it is removed"

    def makes(self, params: Json) -> tuple[str, ...]:
        return (params["path"],)

    def baseline(self, params: Json, host: Host) -> Json:
        return place.noted(host.paths.at(params["path"]), host)

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:
        path = host.paths.at(proposal.params["path"])
        yield from place.findings(path, host)
        if host.ask(path, lambda: os.path.lexists(path)):
            yield Finding("file.exists", f"{path} is there already.", hint=f"{removal(path)}.")

    def guard(self, step: Step, machine: Machine) -> None:
        place.bounded(step, machine, lambda there: _guard(step, there, machine))

    def apply(self, step: Step, machine: Machine) -> str | None:
        from vfioctl.kinds.files.aside import aside  # costs 60 ms, and a look at the step does without it

        path = machine.paths.at(step.params["path"])

        def work(filler: Filler) -> str | None:
            with Place(path) as there:
                return _fetch(step, there, filler)

        try:
            return aside(machine, step.params["url"], path, work)
        except VfioctlError:
            _sweep(step, machine)
            raise
        except OSError as error:
            _sweep(step, machine)
            raise StepFailed("file.write_failed", f"{path} could not be written: {error.strerror}.") from error

    def probe(self, step: Step, machine: Machine) -> State:
        return partial.probe(step, machine)

    def undo(self, step: Step, machine: Machine) -> str | None:
        return partial.undo(step, machine)

    def foreign(self, step: Step, machine: Machine) -> str:
        return partial.foreign(step, machine)

    def render_undo(self, step: Step, paths: Paths) -> tuple[str, ...]:
        """A shell cannot tell whose file it is: getfattr(1) is installed nowhere by itself."""
        return (call("say", f"{paths.at(step.params['path'])} is left to: vfioctl recover"),)


def _guard(step: Step, there: Place, machine: Machine) -> None:
    place.must_be_safe(there.path, machine.paths.root)
    if not partial.is_ours(step, there):  # a process that was killed may have made it, and not said so
        place.must_be_free(there)


def _fetch(step: Step, there: Place, filler: Filler) -> str | None:
    params, part = step.params, partial.part_of(step, there)
    if partial.is_ours(step, there):
        there.remove(part)
        return "it has come already"
    fd = _open(step, there)
    try:
        wanted = {"sha256": params["sha256"]} if "sha256" in params else {}
        filler.fill(fd, there.path, limit=params.get("limit", DEFAULT_LIMIT), wanted=wanted).forget()
        mode, owner = int(params.get("mode", DEFAULT_MODE), 8), (params.get("uid", -1), params.get("gid", -1))
        place.dress(fd, mode=mode, owner=owner)
        there.publish(part)
    finally:
        os.close(fd)
    return None


def _sweep(step: Step, machine: Machine) -> None:
    """Remove the part, which a process that is killed leaves to the next one. Where that cannot be the undo says so."""
    with suppress(VfioctlError, OSError):
        place.bounded(step, machine, lambda there: there.remove(partial.part_of(step, there)))


def _open(step: Step, there: Place) -> int:
    """The part file, which bears our mark; one that a killed process of this operation has left is gone on with."""
    part = partial.part_of(step, there)
    fd = partial.begun(there, part, partial.operation_of(step))
    if mark_of(fd) is None and "sha256" not in step.params:
        os.close(fd)
        there.remove(part)
        said = f"The file system of {there.path} keeps no extended attributes, which would say whose file it is."
        raise StepRefused("fetch.unmarked", said, hints=("Give the sha256 that the file must have.",))
    return fd


KIND = FileFetch()
