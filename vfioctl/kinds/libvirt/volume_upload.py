"""volume.upload: fills a volume that the same plan makes with a file of this host. Never one that was there before."""

from __future__ import annotations

import errno
import os
import stat

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed, StepRefused, VfioctlError
from vfioctl.files import open_plain, write_all
from vfioctl.kinds.disks.made import LEFT
from vfioctl.kinds.libvirt.change import URI
from vfioctl.kinds.libvirt.filling import filled
from vfioctl.kinds.libvirt.transfer import Transfer
from vfioctl.kinds.libvirt.volume_alone import must_have_no_user
from vfioctl.kinds.libvirt.volumes import VOLUME, Volume, VolumeChange, mark_whole
from vfioctl.txn import blobs
from vfioctl.txn.blobs import BLOB
from vfioctl.txn.shape import ABSOLUTE, COUNT, FLAG, NAME, TEXT, UUID, Shape, optional
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step

FULL = "libvirtd 11.3 ends by a fault when a pool gets full: look at its room there, too."


class VolumeUpload(VolumeChange):
    """{uri, pool, name, source?, blob?, size, sha256?, marked}: pool: its UUID; source: a file of this host, or
    blob: the name of its content, which `vfioctl.txn.blobs.store` gives; size: its bytes, all of which go; sha256: what
    they must have; marked: as the volume.create before it has it"""

    name = "volume.upload"
    summary = "Fills a volume that the same plan makes with a file; it goes with the volume on failure."
    marks = True
    early = False  # the volume is made by a step before
    undo_class = Undo.EXACT
    keeps = Shape(operation=NAME)
    takes = Shape(
        uri=URI, pool=UUID, name=VOLUME, source=optional(ABSOLUTE), blob=optional(BLOB), size=COUNT,
        sha256=optional(TEXT), marked=FLAG,
    )  # fmt: skip
    goes_on = ()

    def resource(self, params: Json) -> str:
        return f"content:{params['pool']}/{params['name']}"

    def touches(self, params: Json) -> tuple[str, ...]:
        return (super().resource(params),)

    def put_back(self, params: Json) -> str:  # noqa: ARG002
        return "it goes with its volume"

    def must_fit(self, params: Json, thing: Volume, machine: Machine) -> None:
        if path := params.get("source", ""):
            source = machine.paths.at(path)
            if machine.reach.ask(source, lambda: _size(source)) != params["size"]:
                said = f"{source} is gone, or has another size than when this was planned."
                raise StepRefused("volume.changed", said, hints=("Plan it once more.",))
        if thing.found is None:
            raise StepFailed("volume.unknown", f"There is no volume {thing.name!r} to fill.")

    def guard(self, step: Step, machine: Machine) -> None:
        super().guard(step, machine)
        if source := step.params.get("source", ""):
            must_have_no_user(machine, machine.paths.at(source), writing=True)  # else half of a download is taken

    def state(self, step: Step, paths: Paths, thing: Volume) -> State:  # noqa: ARG002
        """Nothing tells how much has come; the volume goes as a whole."""
        return State.BEFORE if thing.found is None else State.BETWEEN

    def apply(self, step: Step, machine: Machine) -> str | None:
        params = step.params
        path, found = (self._filled if params["marked"] else self._sent)(step, machine, self.opened(step, machine))
        _must_be(params.get("sha256", ""), found, params.get("source", params["name"]))
        if params["marked"]:
            mark_whole(path, str(step.baseline["operation"]))
        return None

    def _filled(self, step: Step, machine: Machine, fd: int) -> tuple[str, str]:
        """The path of the volume, which has all that `fd` has, and the checksum of that; on this host, past libvirt."""
        params = step.params
        try:
            path = self.on(step, machine, _begun)
            found = filled(machine, fd, path, params["size"], step.deadline, judged=bool(params.get("sha256")))
        finally:
            os.close(fd)
        self.on(step, machine, Volume.refresh)
        return path, found

    def _sent(self, step: Step, machine: Machine, fd: int) -> tuple[str, str]:
        """The same, by a stream of libvirt's."""
        params = step.params
        transfer = Transfer(fd, params["size"], judged=bool(params.get("sha256")))

        def watch() -> None:
            machine.progress(transfer.done, transfer.total, "bytes")
            machine.checkpoint()

        try:
            path = self.ask(machine, params, lambda volume: _upload(volume, transfer), step.deadline, watch)
        except BaseException as error:
            transfer.is_stopped = True
            if isinstance(error, VfioctlError) and error.code == "libvirt.down":
                error.hints = (*error.hints, FULL)
            raise
        finally:
            if not transfer.is_stopped:  # else the thread may still read from it
                os.close(fd)
        return path, transfer.hash.hexdigest() if transfer.hash else ""

    def opened(self, step: Step, machine: Machine) -> int:
        """A descriptor of what is to go, at its begin."""
        if path := step.params.get("source", ""):
            return open_plain(machine.paths.at(path), follow=True, foreign=True)
        return in_memory(blobs.read(machine.paths, step.params["blob"]))

    def undo(self, step: Step, machine: Machine) -> str | None:  # noqa: ARG002
        return "it goes with its volume"


def in_memory(content: bytes) -> int:
    """A descriptor of `content`, at its begin."""
    fd = os.memfd_create("content", os.MFD_CLOEXEC)
    write_all(fd, content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _begun(volume: Volume) -> str:
    """The path of the volume, which is to be filled."""
    path = str(volume.handle.path())
    _unmark(path)
    return path


def _upload(volume: Volume, transfer: Transfer) -> str:
    """The path of the volume, which is filled."""
    import libvirt

    handle = volume.handle
    stream = volume.connection.newStream(0)
    handle.upload(stream, 0, transfer.total, libvirt.VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM)
    transfer.send(stream)
    volume.refresh()
    return str(handle.path())


def _unmark(path: str) -> None:
    """From now on it is not as it was made. One that was interrupted has said so already."""
    try:
        os.removexattr(path, LEFT)
    except OSError as error:
        if error.errno != errno.ENODATA:
            raise


def _must_be(wanted: str, found: str, source: str) -> None:
    if wanted != found:
        said = f"{source} has the sha256 {found}, not {wanted}."
        raise StepFailed("volume.checksum", said, hints=("Look whether the file or its checksum was renewed.",))


def _size(path: str) -> int | None:
    """The size of the plain file `path`."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


KIND = VolumeUpload()
