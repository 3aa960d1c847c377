"""The plan of putting a guest's system disk back to its template: a new disk beside, then the former one goes. Pure.

The new system has read no seed: one that the guest still has stays for it, or a new one is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from vfioctl.plugin import StepProposal, content_name, frozen
from vfioctl_guest import hotplug
from vfioctl_guest.seed.mark import parsed, with_run, write
from vfioctl_guest.volumes import volume_steps

if TYPE_CHECKING:
    from vfioctl.plugin import GuestDisk, Template, Volume
    from vfioctl_guest.life import Subject
    from vfioctl_guest.site import Blank, Image

SHORT = 30.0


@frozen
class System:
    """The system disk in its `volume`, the template right below, and the volume `new` at `path` that replaces it."""

    disk: GuestDisk
    volume: Volume
    template: Template
    path: str
    new: Blank


@frozen
class Draft:
    """Steps, and the contents that they name."""

    steps: tuple[StepProposal, ...]
    contents: Mapping[str, bytes]


def draft(about: Subject, system: System, seed: Image | None = None) -> Draft:
    """The guest never lacks a disk: what is deleted goes last, and only when the configuration names it no more."""
    xml = with_run(moved(about.guest.xml, system.disk.source, system.path), run=False)
    former, fresh = about.guest.xml.encode(), (with_seed(xml, seed) if seed else xml).encode()
    made, contents = volume_steps(about.uri, (seed,) if seed else ())
    names = content_name(fresh), content_name(former)
    defined = StepProposal(
        id="guest:define", kind="domain.define", params={**about.about, "blob": names[0], "former": names[1]},
        reason=f"{system.disk.target} is on the new disk", deadline=SHORT,
        after=("guest:volume", *(one.id for one in made)),
    )  # fmt: skip
    steps = (_made(about, system), *made, defined, _removed(about, system))
    return Draft(steps, {**contents, names[0]: fresh, names[1]: former})


def _made(about: Subject, system: System) -> StepProposal:
    data, below = system.template.usable()
    params = {
        "uri": about.uri, "pool": system.new.pool, "name": system.new.name, "format": "qcow2",
        "size": system.volume.capacity, "backing": below.path, "backing_format": data.format,
        "marked": system.new.marked,
    }  # fmt: skip
    return StepProposal(
        id="guest:volume", kind="volume.create", params=params, deadline=SHORT,
        reason=f"a disk above the template {system.template.name}",
    )  # fmt: skip


def _removed(about: Subject, system: System) -> StepProposal:
    """Until the steps before it are done, the guest itself needs it."""
    volume = system.volume
    params = {
        "uri": about.uri, "pool": system.new.pool, "name": volume.name, "path": volume.path, "size": volume.capacity,
        "changed": volume.changed, "later": True,
    }  # fmt: skip
    return StepProposal(
        id="guest:remove", kind="volume.delete", params=params, deadline=SHORT, best_effort=True,
        reason=f"the former {system.disk.target} of {about.name}", after=("guest:define",),
    )  # fmt: skip


def moved(xml: str, former: str, path: str) -> str:
    """`xml` with the disk that is on `former` on `path`."""
    root = parsed(xml)
    for source in root.iterfind("devices/disk/source"):
        if source.get("file") == former:
            source.set("file", path)
    return ET.tostring(root, encoding="unicode")


def with_seed(xml: str, seed: Image) -> str:
    """`xml` with a further disk, from which nothing boots: its `seed`, which it has not read."""
    root, target = parsed(xml), hotplug.free_target((xml,), "virtio")
    if (devices := root.find("devices")) is not None:
        medium = hotplug.Medium(seed.path, "file", seed.format)
        devices.append(ET.fromstring(hotplug.disk(medium, target, "virtio", readonly=True)))
    write(root, seed.path, run=False)
    return ET.tostring(root, encoding="unicode")
