"""volume.clone: makes a whole copy of a volume, in any pool of its node. The source is only read."""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed, StepRefused, VfioctlError
from vfioctl.kinds.files.place import MODE
from vfioctl.kinds.libvirt.change import URI
from vfioctl.kinds.libvirt.volume_create import must_be_free
from vfioctl.kinds.libvirt.volume_needs import must_not_be_written
from vfioctl.kinds.libvirt.volume_xml import FORMATS, document
from vfioctl.kinds.libvirt.volumes import VOLUME, Making, Volume, create, has_size, mark_begun
from vfioctl.txn.shape import COUNT, FLAG, UUID, Shape, many, one_of, optional
from vfioctl.txn.step import Undo

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step
    from vfioctl.virt.volumes import Volume as Described


class VolumeClone(Making):
    """{uri, pool, name, format, size, source_pool, source, domains?, mode?, later?, marked}: pool, source_pool:
    UUIDs; size: bytes that a guest sees, those of the source; source: the name of the volume that is copied, with what
    lies below it; domains: the UUIDs of the guests that have it, which do not start meanwhile; mode: of the copy's
    file, "0600" unless it says otherwise; later: its pool is made by a step before, so that it is judged when its turn
    comes; marked: the file of the copy is on this host and may bear a mark"""

    name = "volume.clone"
    summary = "Makes a whole copy of a volume; removed again only on failure, and only while it is as made."
    undo_class = Undo.EXACT
    takes = Shape(
        uri=URI, pool=UUID, name=VOLUME, format=one_of(*FORMATS), size=COUNT, source_pool=UUID, source=VOLUME,
        domains=optional(many(UUID)), mode=optional(MODE), later=optional(FLAG), marked=FLAG,
    )  # fmt: skip

    def touches(self, params: Json) -> tuple[str, ...]:
        return tuple(f"domain:{uuid}" for uuid in params.get("domains", ()))

    def must_fit(self, params: Json, thing: Volume, machine: Machine) -> None:  # noqa: ARG002
        must_be_free(params, thing)
        source = Volume(thing.connection, params["source_pool"], params["source"]).described
        if source is None:
            raise StepFailed("volume.unknown", f"The volume {params['source']!r} that is to be copied is gone.")
        if source.capacity != params["size"]:
            said = f"The volume {params['source']} was changed since this was planned."
            raise StepRefused("volume.changed", said, hints=("Look at it, then plan it once more.",))
        must_not_be_written(params, source.path)

    def is_as_planned(self, params: Json, present: Described) -> bool:
        return (params["format"], "") == (present.format, present.backing) and has_size(present, params["size"])

    def apply(self, step: Step, machine: Machine) -> str | None:
        """libvirt answers at the end, and nothing stops it: who has to stop earlier leaves that to the undo."""
        watch = Watch(step, machine)
        self.ask(machine, step.params, lambda volume: _clone(step, volume), step.deadline, watch.look)
        return None


def _clone(step: Step, volume: Volume) -> None:
    source = Volume(volume.connection, step.params["source_pool"], step.params["source"]).handle
    create(step, volume, lambda pool: pool.createXMLFrom(document(step.params, pool), source, 0))


class Watch:
    """How far a copy is, by what it takes on its disk; over a connection that waits for the end of the copy itself."""

    def __init__(self, step: Step, machine: Machine) -> None:
        self.step = step
        self.machine = machine
        self.source = 0
        self.marked = not step.params["marked"]

    def look(self) -> None:
        """Tell it. Raises StepFailed where the step has to stop."""
        self.machine.checkpoint()
        params, libvirt = self.step.params, self.machine.libvirt
        try:
            done, path = libvirt(params["uri"]).ask(lambda handle: self._seen(handle, params), "a copy", limit=LOOK)
        except VfioctlError:
            return  # it is not there yet, or the pool is busy: it is looked at again soon
        if not self.marked:
            mark_begun(path, str(self.step.baseline["operation"]))
            self.marked = True
        self.machine.progress(min(done, self.source), self.source, "bytes")

    def _seen(self, handle: Any, params: Json) -> tuple[int, str]:
        if not self.source:
            self.source = Volume(handle, params["source_pool"], params["source"]).handle.info()[2]
        copy = Volume(handle, params["pool"], params["name"]).handle
        return copy.info()[2], copy.path()


LOOK = 5.0  # seconds
KIND = VolumeClone()
