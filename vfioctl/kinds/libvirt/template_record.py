"""template.record: writes down what a template is, with the checksum of the image that a step before has made."""

from __future__ import annotations

import hashlib

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed
from vfioctl.frozen import replace
from vfioctl.kinds.libvirt.change import URI
from vfioctl.kinds.libvirt.volume_upload import VolumeUpload, in_memory
from vfioctl.kinds.libvirt.volumes import VOLUME, Volume
from vfioctl.txn import blobs
from vfioctl.txn.blobs import BLOB
from vfioctl.txn.shape import COUNT, FLAG, UUID, Shape
from vfioctl.txn.step import Undo

if TYPE_CHECKING:
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step


class TemplateRecord(VolumeUpload):
    """{uri, pool, name, image, blob, size, marked}: pool: the UUID of the pool of record and image; image: the volume
    whose checksum is written down; blob: the record without it, as `TemplateData.document` gives it; size: its bytes;
    marked: as the volume.create before it has it"""

    name = "template.record"
    summary = "Fills a volume with what is known of a template, once its image is there; it goes with it on failure."
    undo_class = Undo.EXACT
    takes = Shape(uri=URI, pool=UUID, name=VOLUME, image=VOLUME, blob=BLOB, size=COUNT, marked=FLAG)

    def must_fit(self, params: Json, thing: Volume, machine: Machine) -> None:
        super().must_fit(params, thing, machine)
        if Volume(thing.connection, params["pool"], params["image"]).found is None:
            raise StepFailed("volume.unknown", f"There is no volume {params['image']!r} to write a record of.")

    def opened(self, step: Step, machine: Machine) -> int:
        from vfioctl.virt import template_data

        params = step.params
        draft = template_data.read(blobs.read(machine.paths, params["blob"]), params["name"])
        return in_memory(replace(draft, sha256=_Reading(step, machine).sum()).document())


class _Reading:
    """The way through every byte of the image; it can be stopped, though libvirt's stream runs in another thread."""

    def __init__(self, step: Step, machine: Machine) -> None:
        self.step = step
        self.machine = machine
        self.hash = hashlib.sha256()
        self.done = 0
        self.is_stopped = False

    def sum(self) -> str:
        """The sha256. Raises VfioctlError, and what stops the step."""
        from vfioctl.virt.templates import read_content

        params = self.step.params
        try:
            read_content(
                self.machine.libvirt(params["uri"]), params["pool"], params["image"], self._take,
                limit=self.step.deadline, watch=self._watch,
            )  # fmt: skip
        except BaseException:
            self.is_stopped = True
            raise
        return self.hash.hexdigest()

    def _take(self, data: bytes) -> None:
        if self.is_stopped:
            raise StepFailed("engine.interrupted", "It was asked to stop.")
        self.hash.update(data)
        self.done += len(data)

    def _watch(self) -> None:
        self.machine.progress(self.done, 0, "bytes")
        self.machine.checkpoint()


KIND = TemplateRecord()
