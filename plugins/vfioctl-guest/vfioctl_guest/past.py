"""What belongs to the snapshots of a guest: libvirt's records, those that are written down here, and the images.

A record of `vfioctl snapshot` is read as data (docs/reference/snapshots.md says where it lies). Reads only.
"""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from vfioctl.plugin import VfioctlError, field, frozen, mark_of, open_plain, qcow2_header, read_bytes

if TYPE_CHECKING:
    from vfioctl.plugin import GuestSnapshot, Host

RECORDS = "/var/lib/vfioctl/snapshots"
LARGEST = 4 << 20  # bytes of a record
QCOW2 = "qcow2"
REVERTED = re.compile(r"\.vfioctl-[0-9a-f]{8}\.fd$")  # what a revert adds to the name of the NVRAM in use


@frozen
class Layer:
    """An image that the snapshots of the disk `target` name; `snapshot` is the first that does."""

    target: str
    snapshot: str
    format: str


@frozen
class Past:
    """`layers` are images by their paths, `copies` the files beside them, with what they are, `names` every snapshot.

    `unread` are the files of records that cannot be read: what belongs to them is not known.
    """

    names: tuple[str, ...] = ()
    layers: Mapping[str, Layer] = field(default_factory=dict)
    copies: Mapping[str, str] = field(default_factory=dict)
    unread: tuple[str, ...] = ()


def past(host: Host, uuid: str, known: Iterable[GuestSnapshot]) -> Past:
    """What the snapshots `known` to libvirt name, and the records of this host. Raises VfioctlError, OSError."""
    layers: dict[str, Layer] = {}
    copies: dict[str, str] = {}
    names = []
    for snapshot in known:
        names.append(snapshot.name)
        for path, target, form in of_libvirt(snapshot):
            layers.setdefault(real(host, path), Layer(target, snapshot.name, form))
        if memory := _memory(snapshot.xml):
            copies[memory] = f"the memory of snapshot {snapshot.name!r}"
    written, unread = _written(host, f"{RECORDS}/{uuid}")
    for path, data in written.items():
        name = str(data["name"])
        names.append(name)
        for part in data["disks"]:
            for image, form in ((part["image"], part["format"]), (part["overlay"], QCOW2)):
                if image:
                    layers.setdefault(real(host, image), Layer(part["target"], name, form))
        copies |= {data[key]: f"a copy of snapshot {name!r}" for key in ("nvram", "tpm") if data[key]}
        copies[path] = f"the record of snapshot {name!r}"
    return Past(tuple(dict.fromkeys(names)), layers, copies, unread)


def beside(host: Host, file: str, what: str) -> dict[str, str]:
    """The copies of `file`, NVRAM or state of a TPM, that belong to snapshots inside the images: nothing lists those.

    They lie beside it, begin with its name and bear the mark of the operation that made them: a hand-off, or a revert.
    """
    stem = REVERTED.sub("", file)
    directory, prefix = os.path.dirname(stem), f"{os.path.basename(stem)}."
    there = host.paths.at(directory)
    names = host.ask(there, partial(_marked, there, prefix))
    return {f"{directory}/{name}": what for name in names if f"{directory}/{name}" != file}


def _marked(directory: str, prefix: str) -> tuple[str, ...]:
    try:
        names = sorted(name for name in os.listdir(directory) if name.startswith(prefix))
    except OSError:
        return ()
    return tuple(name for name in names if mark_of(os.path.join(directory, name)))


def of_libvirt(snapshot: GuestSnapshot) -> Iterator[tuple[str, str, str]]:
    """Path, target and format of what its disks were on, and went on in. A disk that it left out is not of it."""
    overlays = dict(snapshot.files)
    yield from ((path, target, QCOW2) for target, path in overlays.items() if path)
    for disk in ET.fromstring(snapshot.xml).iterfind("domain/devices/disk") if snapshot.xml else ():
        target, source, driver = disk.find("target"), disk.find("source"), disk.find("driver")
        name = "" if target is None else target.get("dev", "")
        if name in overlays and source is not None and (path := source.get("file")):
            yield path, name, "" if driver is None else driver.get("type", "")


def _memory(xml: str) -> str:
    memory = ET.fromstring(xml).find("memory") if xml else None
    return "" if memory is None else memory.get("file", "")


def _written(host: Host, directory: str) -> tuple[dict[str, dict[str, Any]], tuple[str, ...]]:
    """The records by their paths, and the paths of those that cannot be read."""
    there = host.paths.at(directory)
    try:
        names = sorted(name for name in os.listdir(there) if name.endswith(".json"))
    except FileNotFoundError:
        return {}, ()
    found, unread = {}, []
    for name in names:
        try:
            data = json.loads(read_bytes(os.path.join(there, name), limit=LARGEST))
            found[f"{directory}/{name}"] = {key: data[key] for key in ("name", "disks", "nvram", "tpm")}
        except (VfioctlError, OSError, ValueError, TypeError, KeyError):
            unread.append(f"{directory}/{name}")
    return found, tuple(unread)


def family(own: Iterable[str], layers: Iterable[str], below: Callable[[str], str]) -> frozenset[str]:
    """Those of `layers` that hang together with an image of the guest's `own`, by what `below` says lies below each.

    The images of a disk that was taken from the guest hang together with none.
    """
    named = {*own, *layers}
    pairs = [(path, lower) for path in named if (lower := below(path)) in named]
    found: set[str] = set(own)
    while more := {one for pair in pairs if found & set(pair) for one in pair} - found:
        found |= more
    return frozenset(found) - set(own)


def from_top(paths: Iterable[str], below: Callable[[str], str]) -> tuple[str, ...]:
    """`paths` in an order in which each comes before what lies below it."""
    waiting, found = list(dict.fromkeys(paths)), []
    while waiting:
        needed = {below(path) for path in waiting}
        free = [path for path in waiting if path not in needed] or waiting
        found += free
        waiting = [path for path in waiting if path not in free]
    return tuple(found)


def chain(path: str, below: Callable[[str], str]) -> tuple[str, ...]:
    """What lies below the image at `path`, nearest first. A circle ends where it closes."""
    found: list[str] = []
    while (path := below(path)) and path not in found:
        found.append(path)
    return tuple(found)


def backing(host: Host, path: str, form: str) -> str:
    """What lies below the image at `path`, without links; "" for nothing, or where it is none of qcow2.

    What looks like a header in a raw image is its guest's.
    """
    if form != QCOW2:
        return ""
    there = host.paths.at(path)
    name = host.ask(there, partial(_backing, there))
    return real(host, os.path.join(os.path.dirname(path), name)) if name else ""


def real(host: Host, path: str) -> str:
    """The path without links, where the file is on this host."""
    return str(host.ask(path, partial(os.path.realpath, path)))


def _backing(path: str) -> str:
    try:
        with open(open_plain(path, follow=True), "rb") as file:
            header = qcow2_header(file.fileno())
    except (OSError, VfioctlError, ValueError, struct.error):
        return ""
    return "" if header is None else header.backing
