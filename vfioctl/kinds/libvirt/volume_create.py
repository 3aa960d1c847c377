"""volume.create: makes a volume, blank or above another image. Never takes one that is there."""

from __future__ import annotations

import os

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepRefused
from vfioctl.kinds.files.place import MODE
from vfioctl.kinds.libvirt.change import URI
from vfioctl.kinds.libvirt.volume_xml import FORMATS, FULL, METADATA, SPARSE, document
from vfioctl.kinds.libvirt.volumes import VOLUME, Making, Volume, create, has_size, mark_whole, removal
from vfioctl.txn.shape import ABSOLUTE, COUNT, FLAG, UUID, Shape, one_of, optional
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step
    from vfioctl.virt.volumes import Volume as Described

SAME = {"iso": "raw"}  # what libvirt calls a raw file that has the image of a CD by now


class VolumeCreate(Making):
    """{uri, pool, name, format, size, preallocation?, backing?, backing_format?, mode?, later?, marked}: pool: its
    UUID; size: bytes that a guest sees; preallocation: "sparse" unless it says "metadata" or "full"; backing: the path
    of the volume that it lies above, in backing_format; mode: of its file, "0600" unless it says otherwise; later: its
    pool is made by a step before, so that it is judged when its turn comes; marked: its file is on this host and may
    bear a mark"""

    name = "volume.create"
    summary = "Makes a volume, blank or above another one; removed again only on failure, and only while it is as made."
    undo_class = Undo.EXACT
    takes = Shape(
        uri=URI, pool=UUID, name=VOLUME, format=one_of(*FORMATS), size=COUNT,
        preallocation=optional(one_of(SPARSE, METADATA, FULL)), backing=optional(ABSOLUTE),
        backing_format=optional(one_of(*FORMATS)), mode=optional(MODE), later=optional(FLAG), marked=FLAG,
    )  # fmt: skip

    def must_fit(self, params: Json, thing: Volume, machine: Machine) -> None:  # noqa: ARG002
        must_be_free(params, thing)
        if params.get("backing", ""):
            _must_lie_above(params, thing)

    def is_as_planned(self, params: Json, present: Described) -> bool:
        wanted = (params["format"], params.get("backing", ""))
        same = wanted == (SAME.get(present.format, present.format), present.backing)
        return same and has_size(present, params["size"])

    def apply(self, step: Step, machine: Machine) -> str | None:
        if step.params["marked"] and self.probe(step, machine) is State.AFTER:
            return "it is there already"
        self.on(step, machine, lambda volume: blank(step, volume))
        return None


def must_be_free(params: Json, volume: Volume) -> None:
    """Raise StepRefused("volume.exists") where something has the name: a file that is no volume yet, too."""
    found = volume.found
    if found is None:
        volume.refresh()
        found = volume.found
    if found is not None:
        said = f"The pool {volume.within.name()} has a volume {volume.name!r} already: {found.path()}."
        raise StepRefused("volume.exists", said, hints=("Choose another name.", removal(params, volume.within.name())))


def _must_lie_above(params: Json, volume: Volume) -> None:
    """Raise StepRefused where the image below is no volume, of another format, or larger than what lies above it."""
    import libvirt

    from vfioctl.virt.volumes import described

    path = params["backing"]
    try:
        below = described("", volume.connection.storageVolLookupByPath(path))
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_STORAGE_VOL:
            raise
        said = f"{path} is no volume of an active pool, so nothing is made above it."
        raise StepRefused("volume.outside", said, hints=("Bring it into a pool first.",)) from error
    if below.format != params["backing_format"]:
        said = f"{path} is {below.format or 'of no format that libvirt knows'}, not {params['backing_format']}."
        raise StepRefused("volume.format", said, hints=("Look at it with: qemu-img info",))
    if below.capacity > params["size"]:
        said = f"A volume of {params['size']} bytes is too small for what is in {path}: {below.capacity} bytes."
        raise StepRefused("disk.too_small", said)


def blank(step: Step, volume: Volume, mark: Callable[[str, str], None] = mark_whole) -> str:
    """Let libvirt make it, and mark it so; its path."""
    import libvirt

    params, flags = step.params, 0
    if params["format"] == "qcow2" and params.get("preallocation", SPARSE) != SPARSE:
        flags |= libvirt.VIR_STORAGE_VOL_CREATE_PREALLOC_METADATA
    _must_not_be_there(params, volume)
    return create(step, volume, lambda pool: _made(pool, params, flags), mark)


def _made(pool: Any, params: Json, flags: int) -> Any:
    return pool.createXML(document(params, pool), flags)


def _must_not_be_there(params: Json, volume: Volume) -> None:
    """As late as can be: libvirt refuses a name that it knows, and for some formats writes over a file it does not."""
    from xml.etree import ElementTree as ET

    place = ET.fromstring(volume.within.XMLDesc(0)).findtext("target/path", "")
    if params["marked"] and os.path.lexists(f"{place}/{volume.name}"):
        said = f"{place}/{volume.name} was made by somebody else since this was planned."
        raise StepRefused("volume.exists", said, hints=(removal(params, volume.within.name()),))


KIND = VolumeCreate()
