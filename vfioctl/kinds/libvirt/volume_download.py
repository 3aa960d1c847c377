"""volume.download: makes a file of this host with the bytes of a volume, whole or not at all. Replaces nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed, StepRefused
from vfioctl.findings import Finding
from vfioctl.kinds.files import mounted, partial, place
from vfioctl.kinds.files.marks import mark, removal
from vfioctl.kinds.files.place import FILE, Place
from vfioctl.kinds.libvirt.change import URI
from vfioctl.kinds.libvirt.transfer import Transfer
from vfioctl.kinds.libvirt.volume_needs import must_not_be_written, unwritten
from vfioctl.kinds.libvirt.volumes import VOLUME, Volume, VolumeChange
from vfioctl.txn.shape import COUNT, NAME, UUID, Shape, many, optional
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.host.host import Host
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step, StepProposal

MODE = 0o600


class VolumeDownload(VolumeChange):
    """{uri, pool, name, path, size, domains?}: pool: its UUID; path: the file that is made; size: about how many bytes
    come; domains: the UUIDs of the guests that have the volume, which do not start meanwhile"""

    name = "volume.download"
    summary = "Makes a file with the bytes of a volume, as they are kept; removed again only on failure."
    marks = True
    undo_class = Undo.EXACT
    keeps = Shape(directory=mounted.DIRECTORY, operation=NAME)
    takes = Shape(uri=URI, pool=UUID, name=VOLUME, path=FILE, size=COUNT, domains=optional(many(UUID)))

    def resource(self, params: Json) -> str:
        return f"file:{params['path']}"

    def touches(self, params: Json) -> tuple[str, ...]:
        return (super().resource(params), *(f"domain:{uuid}" for uuid in params.get("domains", ())))

    def put_back(self, params: Json) -> str:  # noqa: ARG002
        return "it is removed"

    def makes(self, params: Json) -> tuple[str, ...]:
        return (params["path"],)

    def baseline(self, params: Json, host: Host) -> Json:
        return place.noted(host.paths.at(params["path"]), host)

    def check(self, proposal: StepProposal, host: Host) -> Iterable[Finding]:
        path = host.paths.at(proposal.params["path"])
        yield from super().check(proposal, host)
        yield from place.findings(path, host)
        if host.ask(path, lambda: os.path.lexists(path)):
            yield Finding("file.exists", f"{path} is there already.", hint=f"{removal(path)}.")

    def must_fit(self, params: Json, thing: Volume, machine: Machine) -> None:  # noqa: ARG002
        must_not_be_written(params, thing.handle.path())

    def state(self, step: Step, paths: Any, thing: Volume) -> State:  # noqa: ARG002
        """What it has come to lies in a file, at which `probe` looks."""
        return State.BEFORE

    def guard(self, step: Step, machine: Machine) -> None:
        super().guard(step, machine)
        place.bounded(step, machine, lambda there: _guard(there, machine))

    def apply(self, step: Step, machine: Machine) -> str | None:
        path = machine.paths.at(step.params["path"])
        try:
            with Place(path) as there:
                self._make(step, machine, there)
        except OSError as error:
            raise StepFailed("file.write_failed", f"{path} could not be written: {error.strerror}.") from error
        return None

    def _make(self, step: Step, machine: Machine, there: Place) -> None:
        part = partial.part_of(step, there)
        fd = there.create(part)
        transfer = Transfer(fd, step.params["size"])

        def watch() -> None:
            machine.progress(min(transfer.done, transfer.total), transfer.total, "bytes")
            machine.checkpoint()

        try:
            mark(fd, str(step.baseline["operation"]))
            self.ask(machine, step.params, lambda volume: _download(step, volume, transfer), step.deadline, watch)
            machine.progress(transfer.done, transfer.done, "bytes")
            place.dress(fd, mode=MODE, owner=(-1, -1))
            there.publish(part)
        except BaseException:
            transfer.is_stopped = True
            there.remove(part)
            raise
        finally:
            if not transfer.is_stopped:  # else the thread may still write to it
                os.close(fd)

    def probe(self, step: Step, machine: Machine) -> State:
        return partial.probe(step, machine)

    def undo(self, step: Step, machine: Machine) -> str | None:
        return partial.undo(step, machine)

    def foreign(self, step: Step, machine: Machine) -> str:
        return partial.foreign(step, machine)


def _guard(there: Place, machine: Machine) -> None:
    place.must_be_safe(there.path, machine.paths.root)
    place.must_be_free(there)


def _download(step: Step, volume: Volume, transfer: Transfer) -> None:
    import libvirt

    handle = volume.found
    if handle is None:
        raise StepRefused("volume.unknown", f"There is no volume {volume.name!r} any more.")
    with suppress(libvirt.libvirtError):  # what a plan has is what it takes, and holes are passed on, too
        transfer.total = handle.infoFlags(libvirt.VIR_STORAGE_VOL_GET_PHYSICAL)[2] or transfer.total
    with unwritten(step.params, handle.path()):
        stream = volume.connection.newStream(0)
        handle.download(stream, 0, 0, libvirt.VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM)
        transfer.receive(stream)


KIND = VolumeDownload()
