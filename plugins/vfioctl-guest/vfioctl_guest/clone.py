"""The plan of a guest's copy: its volumes, its NVRAM, its configuration under a new name, UUID and MACs. Pure."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from vfioctl.plugin import StepProposal, content_name, frozen
from vfioctl_guest.machine import new_mac
from vfioctl_guest.seed.mark import marked, without

if TYPE_CHECKING:
    from vfioctl_guest.life import Subject

COPYING = 7 * 24 * 3600.0  # seconds: a large volume takes hours, and nothing is given up that goes on
SHORT = 30.0
OURS = "{urn:vfioctl:"  # what vfioctl notes of one guest in its metadata
DEVICE = "hostdev"


@frozen
class Copy:
    """The disk `target`, in the volume `source` of the pool `source_pool`, and the volume that it is copied to.

    Pools are UUIDs, `size` is in bytes; `former` and `path` are the files of both. A linked copy is one of the file
    itself, and shares what lies `below` it.
    """

    target: str
    former: str
    source_pool: str
    source: str
    pool: str
    name: str
    path: str
    format: str
    size: int
    marked: bool
    below: str = ""


@frozen
class New:
    """What is chosen for the clone: its NVRAM is copied from `former_nvram`, "" where none is there to be copied.

    `tpm` is the file with the state of the original's TPM, "" for none that is to be copied.
    """

    name: str
    uuid: str
    nvram: str = ""
    former_nvram: str = ""
    devices: bool = False
    tpm: str = ""


@frozen
class Draft:
    """Steps, the contents that they name, the clone's XML, what does not come with it, and the files of its disks."""

    steps: tuple[StepProposal, ...]
    contents: Mapping[str, bytes]
    xml: str
    left: tuple[str, ...]
    disks: tuple[str, ...]


def draft(about: Subject, new: New, copies: tuple[Copy, ...]) -> Draft:
    """The plan of the clone `new`."""
    seed = marked(about.guest.xml)
    former = without(about.guest.xml) if seed else about.guest.xml
    xml, left = document(former, new, {one.target: one.path for one in copies})
    if seed:
        left.append(f"{seed.target}: the seed {seed.file} stays with {about.name}.")
    if new.tpm:
        left.append(f"The keys in its TPM are those of {about.name}: who has one of both opens what the other sealed.")
    name = content_name(xml.encode())
    steps: list[StepProposal] = []
    for one in _steps(about, new, copies, name):
        steps.append(StepProposal(**{**one.__dict__, "after": tuple(before.id for before in steps)}))
    return Draft(tuple(steps), {name: xml.encode()}, xml, tuple(left), tuple(one.path for one in copies))


def _steps(about: Subject, new: New, copies: tuple[Copy, ...], blob: str) -> Iterator[StepProposal]:
    yield from (_copied(about, one) for one in copies)
    if new.former_nvram:
        yield StepProposal(
            id="guest:nvram", kind="file.copy", params={"source": new.former_nvram, "dest": new.nvram},
            reason="its firmware starts with the same variables", deadline=SHORT,
        )  # fmt: skip
    if new.tpm:
        yield _sealed(about, new)
    params = {"uri": about.uri, "uuid": new.uuid, "blob": blob, "former": ""}
    yield StepProposal(
        id="guest:define", kind="domain.define", params=params, reason=f"libvirt gets to know the guest {new.name}",
        deadline=SHORT,
    )  # fmt: skip


def _sealed(about: Subject, new: New) -> StepProposal:
    """libvirt looks for the state of a TPM below the UUID of the guest, and makes a new one where none is."""
    source, inside = new.tpm.split(f"/{about.guest.uuid}/")
    params = {
        "source": f"{source}/{about.guest.uuid}", "dest": f"{source}/{new.uuid}", "files": [inside],
        "domain": about.guest.uuid,
    }  # fmt: skip
    return StepProposal(
        id="guest:tpm", kind="directory.copy", params=params, reason="its TPM has the same keys", deadline=SHORT,
    )  # fmt: skip


def _copied(about: Subject, one: Copy) -> StepProposal:
    """libvirt copies whole volumes only; what lies above another image is copied as the file that it is."""
    name = f"guest:volume:{one.name}"
    if one.below:
        return StepProposal(
            id=name, kind="file.copy", deadline=COPYING, reason=f"a copy of {one.target} above {one.below}",
            params={"source": one.former, "dest": one.path, "domain": about.guest.uuid},
        )  # fmt: skip
    params: dict[str, Any] = {
        "uri": about.uri, "pool": one.pool, "name": one.name, "format": one.format, "size": one.size,
        "source_pool": one.source_pool, "source": one.source, "source_format": one.format,
        "domains": [about.guest.uuid], "marked": one.marked,
    }  # fmt: skip
    reason = f"a whole copy of {one.target} of {about.name}"
    return StepProposal(id=name, kind="volume.clone", params=params, deadline=COPYING, reason=reason)


def document(xml: str, new: New, paths: Mapping[str, str]) -> tuple[str, list[str]]:
    """The configuration of the clone, whose disks are at `paths` by their targets; and what it has not."""
    root = ET.fromstring(xml)
    for tag, text in (("name", new.name), ("uuid", new.uuid), ("genid", new.uuid)):
        if (found := root.find(tag)) is not None:
            found.text = text
    for entry in root.iterfind("sysinfo/system/entry[@name='uuid']"):
        entry.text = new.uuid  # libvirt takes no other one (formatdomain, SMBIOS)
    _other_nvram(root, new)
    _drop_ours(root)
    left = [*_disks(root, paths), *_cards(root, new)]
    return ET.tostring(root, encoding="unicode"), left


def _other_nvram(root: ET.Element, new: New) -> None:
    system, nvram = root.find("os"), root.find("os/nvram")
    if system is None or not new.nvram:
        return
    if nvram is None:  # libvirt has chosen that of the original, and by the name of the guest alone
        nvram = ET.SubElement(system, "nvram")
    if (source := nvram.find("source")) is not None:
        source.set("file", new.nvram)
    else:
        nvram.text = new.nvram


def _drop_ours(root: ET.Element) -> None:
    """What vfioctl noted is of the original's starts."""
    metadata = root.find("metadata")
    for one in [child for child in metadata if child.tag.startswith(OURS)] if metadata is not None else ():
        metadata.remove(one)  # type: ignore[union-attr]


def _disks(root: ET.Element, paths: Mapping[str, str]) -> Iterator[str]:
    """Each on its copy. A medium stays with the original: it may be the seed of that one."""
    for disk in root.iterfind("devices/disk"):
        source, target = disk.find("source"), disk.find("target")
        if source is None or target is None:
            continue
        name, said = target.get("dev", ""), _said(source)
        if disk.get("device", "disk") in ("cdrom", "floppy"):
            disk.remove(source)
            disk.set("type", "file")
            yield f"{name}: the medium {said} is not in its drive."
        elif name in paths:
            for part in ("pool", "volume", "mode"):  # of a disk that is given as a volume of a pool
                source.attrib.pop(part, None)
            disk.set("type", "file")
            source.set("file", paths[name])
        else:
            yield f"{name}: {said} is not copied, both guests share it."


def _said(source: ET.Element) -> str:
    """How a person calls what a disk is on."""
    volume = f"{source.get('pool')}/{source.get('volume')}" if source.get("volume") else ""
    return source.get("file") or source.get("dev") or volume


def _cards(root: ET.Element, new: New) -> Iterator[str]:
    devices = root.find("devices")
    for card in list(root.iterfind("devices/interface")):
        if card.get("type") == DEVICE and not new.devices and devices is not None:
            devices.remove(card)
            yield "A network card of the host is not in it."
        elif (mac := card.find("mac")) is not None:
            mac.set("address", new_mac())
    found = root.findall("devices/hostdev")
    for one in found if not new.devices and devices is not None else ():
        devices.remove(one)  # type: ignore[union-attr]
    if found:
        said = "are in its configuration, too: only one of both guests can run" if new.devices else "are not in it"
        yield f"Devices of the host ({len(found)}) {said}."


def new_nvram(former: str, name: str, uuid: str) -> str:
    """Where the variables of the clone's firmware lie: beside those of the original; no earlier guest has left any."""
    return f"{os.path.dirname(former)}/{name}-{uuid[:8]}_VARS.fd"
