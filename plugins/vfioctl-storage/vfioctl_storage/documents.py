"""The XML of pools, as libvirt's formatstorage page describes it. Made from data; reads nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from vfioctl.plugin import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

DIR, FS, LOGICAL, NETFS = KINDS = ("dir", "fs", "logical", "netfs")
FORMATS: Mapping[str, str] = {LOGICAL: "lvm2", NETFS: "nfs"}  # the others are for libvirt to find out


@frozen
class Source:
    """What a pool is of, by its `kind`: the `devices` of fs and logical, the volume group `name` of logical, `host` and
    `directory` of netfs; nothing for dir."""

    kind: str = DIR
    devices: tuple[str, ...] = ()
    name: str = ""
    host: str = ""
    directory: str = ""

    @property
    def said(self) -> str:
        """The same in one word, "" for nothing: a device, the name of a volume group, HOST:DIRECTORY."""
        if self.kind == NETFS:
            return f"{self.host}:{self.directory}"
        return self.name or next(iter(self.devices), "")


def pool(name: str, uuid: str, path: str, source: Source | None = None) -> bytes:
    """A pool of `source`, whose volumes are below `path`; without one of that directory."""
    of = source or Source()
    root = ET.Element("pool", type=of.kind)
    ET.SubElement(root, "name").text = name
    ET.SubElement(root, "uuid").text = uuid
    if of.said:
        _source(ET.SubElement(root, "source"), of)
    ET.SubElement(ET.SubElement(root, "target"), "path").text = path
    return ET.tostring(root)


def _source(element: ET.Element, of: Source) -> None:
    for device in of.devices:
        ET.SubElement(element, "device", path=device)
    if of.host:
        ET.SubElement(element, "host", name=of.host)
        ET.SubElement(element, "dir", path=of.directory)
    if of.name:
        ET.SubElement(element, "name").text = of.name
    if form := FORMATS.get(of.kind):
        ET.SubElement(element, "format", type=form)
