"""volume.clone: makes a whole copy of a volume, in any pool of its node. The source is only read.

Where the copy may bear a mark it is made here: blank by libvirt, then marked, and only then filled by qemu-img, so that
whoever finds a part of it can tell whose that is. Elsewhere libvirt makes the whole of it.
"""

from __future__ import annotations

import os
from contextlib import suppress

from vfioctl import files
from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import Refused, StepFailed, StepRefused, VfioctlError
from vfioctl.frozen import frozen
from vfioctl.kinds.disks import qemu
from vfioctl.kinds.disks.backing import must_lie_in_pools
from vfioctl.kinds.files.place import MODE
from vfioctl.kinds.libvirt.change import URI
from vfioctl.kinds.libvirt.volume_create import SAME, blank, must_be_free
from vfioctl.kinds.libvirt.volume_needs import must_not_be_written, unwritten
from vfioctl.kinds.libvirt.volume_xml import FORMATS, document
from vfioctl.kinds.libvirt.volumes import VOLUME, Making, Volume, create, has_size, mark_begun, mark_whole
from vfioctl.txn.shape import COUNT, FLAG, UUID, Shape, many, one_of, optional
from vfioctl.txn.step import Undo
from vfioctl.virt.volumes import BLOCK, FILE

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step
    from vfioctl.virt.volumes import Volume as Described


class VolumeClone(Making):
    """{uri, pool, name, format, size, source_pool, source, source_format?, domains?, mode?, later?, marked}: pool,
    source_pool: UUIDs; size: bytes that a guest sees, those of the source; source: the name of the volume that is
    copied, with what lies below it; source_format: what that is to those who have it, and must be to libvirt; domains:
    the UUIDs of the guests that have it, which do not start meanwhile; mode: of the copy's file, "0600" unless it says
    otherwise; later: its pool is made by a step before, so that it is judged when its turn comes; marked: the file of
    the copy is on this host and may bear a mark"""

    name = "volume.clone"
    summary = "Makes a whole copy of a volume; removed again only on failure, and only while it is as made."
    undo_class = Undo.EXACT
    takes = Shape(
        uri=URI, pool=UUID, name=VOLUME, format=one_of(*FORMATS), size=COUNT, source_pool=UUID, source=VOLUME,
        source_format=optional(one_of(*FORMATS)), domains=optional(many(UUID)), mode=optional(MODE),
        later=optional(FLAG), marked=FLAG,
    )  # fmt: skip

    def touches(self, params: Json) -> tuple[str, ...]:
        return tuple(f"domain:{uuid}" for uuid in params.get("domains", ()))

    def must_fit(self, params: Json, thing: Volume, machine: Machine) -> None:
        must_be_free(params, thing)
        source = Volume(thing.connection, params["source_pool"], params["source"]).described
        if source is None:
            raise StepFailed("volume.unknown", f"The volume {params['source']!r} that is to be copied is gone.")
        if source.capacity != params["size"]:
            said = f"The volume {params['source']} was changed since this was planned."
            raise StepRefused("volume.changed", said, hints=("Look at it, then plan it once more.",))
        must_not_be_written(params, source.path)
        _must_be_what_it_was(params, source)
        _must_lie_in_pools(params, source, machine)

    def is_as_planned(self, params: Json, present: Described) -> bool:
        return (params["format"], "") == (present.format, present.backing) and has_size(present, params["size"])

    def apply(self, step: Step, machine: Machine) -> str | None:
        """libvirt answers at the end, and nothing stops it: who has to stop earlier leaves that to the undo."""
        if begun := self.on(step, machine, lambda volume: _begun(step, volume)):
            begun.fill(step, machine)
            return None
        watch = Watch(step, machine)
        self.ask(machine, step.params, lambda volume: _clone(step, volume), step.deadline, watch.look)
        return None


def _format(source: Described) -> str:
    """What libvirt has found in the source."""
    return SAME.get(source.format, source.format)


def _must_be_what_it_was(params: Json, source: Described) -> None:
    """Raise StepRefused("volume.format"): what a guest has written to the beginning of a raw disk makes it no image."""
    if (wanted := params.get("source_format", _format(source))) != _format(source):
        found = source.format or "something else"
        said = f"{source.path} was {wanted} when this was planned, and begins as {found} now."
        raise StepRefused("volume.format", said, hints=("Look who has written to it, then plan it once more.",))


def _must_lie_in_pools(params: Json, source: Described, machine: Machine) -> None:
    """Raise StepRefused("volume.backing", "volume.outside"): qemu-img reads whatever the source names, as root."""
    try:
        must_lie_in_pools(machine.libvirt(params["uri"]), machine.reach.ask, source)
    except Refused as error:
        raise StepRefused(error.code, error.message, hints=error.hints) from error


@frozen
class Begun:
    """A blank copy that bears its mark, by its path, and what is to be in it."""

    path: str
    source: Described

    def fill(self, step: Step, machine: Machine) -> None:
        """Copy it. Raises StepFailed, and what stops it."""
        total, form = self.source.allocation, step.params.get("source_format", _format(self.source))

        def heard(done: float) -> None:
            machine.checkpoint()
            machine.progress(int(done * total), total, "bytes")

        argv = ("qemu-img", "convert", "-p", "-n", "--target-is-zero", "-f", form, "-O", step.params["format"], "--",
                self.source.path, self.path)  # fmt: skip
        qemu.work(machine, argv, deadline=step.deadline, path=self.path, heard=heard)
        try:
            _sync(self.path)
            mark_whole(self.path, str(step.baseline["operation"]))
        except OSError as error:
            raise StepFailed("file.write_failed", f"{self.path} could not be written: {error.strerror}.") from error


def _sync(path: str) -> None:
    """qemu-img leaves that to who needs it."""
    fd = files.open_plain(path, foreign=True)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _begun(step: Step, volume: Volume) -> Begun | None:
    """The blank copy; None where libvirt has to copy."""
    params = step.params
    source = Volume(volume.connection, params["source_pool"], params["source"]).described
    if not params["marked"] or source is None or source.kind not in (FILE, BLOCK) or not source.format:
        return None
    return Begun(blank(step, volume, mark_begun), source)


def _clone(step: Step, volume: Volume) -> None:
    source = Volume(volume.connection, step.params["source_pool"], step.params["source"]).handle
    with unwritten(step.params, source.path()):
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
            with suppress(FileNotFoundError):
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
