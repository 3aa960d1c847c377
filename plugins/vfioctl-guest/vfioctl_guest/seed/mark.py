"""What a guest's configuration says of its seed, in its metadata: the file, and whether the guest has run with it.

libvirt does not tell whether a guest was ever started, so that our own starts write it down. Pure.
"""

from __future__ import annotations

import io
from contextlib import suppress
from xml.etree import ElementTree as ET

from vfioctl.plugin import frozen

SPACE = "urn:vfioctl:seed"
TAG = f"{{{SPACE}}}seed"
PATH = f"metadata/{TAG}"
YES, NO = "yes", "no"


@frozen
class Marked:
    """The seed that a guest has as its disk `target`; `run`: it was started with it."""

    file: str
    target: str
    run: bool


def marked(xml: str) -> Marked | None:
    """The seed of the guest; None where it has none, or no disk of that file any more."""
    root = ET.fromstring(xml)
    if (mark := root.find(PATH)) is None:
        return None
    file = mark.get("file", "")
    disk = _disk(root, file)
    target = None if disk is None else disk.find("target")
    return None if target is None else Marked(file, target.get("dev", ""), mark.get("run") == YES)


def write(root: ET.Element, file: str, *, run: bool) -> None:
    """Write down in the configuration `root` that `file` is its seed."""
    ET.register_namespace("vfioctl", SPACE)
    metadata = root.find("metadata")
    if metadata is None:
        metadata = ET.SubElement(root, "metadata")
    ET.SubElement(metadata, TAG, file=file, run=YES if run else NO)


def with_run(xml: str, *, run: bool = True) -> str:
    """The configuration of a guest that runs with its seed from now on, or whose new system has not yet."""
    root = parsed(xml)
    for mark in root.iterfind(PATH):
        mark.set("run", YES if run else NO)
    return ET.tostring(root, encoding="unicode")


def without(xml: str) -> str:
    """The configuration without the seed, and without a word of it."""
    root = parsed(xml)
    for metadata in root.iterfind("metadata"):
        for mark in metadata.findall(TAG):
            devices, disk = root.find("devices"), _disk(root, mark.get("file", ""))
            if devices is not None and disk is not None:
                devices.remove(disk)
            metadata.remove(mark)
    return ET.tostring(root, encoding="unicode")


def _disk(root: ET.Element, file: str) -> ET.Element | None:
    for disk in root.iterfind("devices/disk"):
        source = disk.find("source")
        if source is not None and file and source.get("file") == file:
            return disk
    return None


def parsed(xml: str) -> ET.Element:
    """With the prefixes that are in it: other tools look for theirs."""
    for _, (prefix, uri) in ET.iterparse(io.StringIO(xml), events=("start-ns",)):
        with suppress(ValueError):  # "ns0" and its like are Python's own
            ET.register_namespace(prefix, uri)
    return ET.fromstring(xml)
