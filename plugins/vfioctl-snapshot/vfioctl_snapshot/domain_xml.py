"""The XML of a domain with other disks and another NVRAM, and the XML of libvirt's record of a snapshot. Pure."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from collections.abc import Mapping

from vfioctl_snapshot.record import Record


def changed(xml: str, sources: Mapping[str, tuple[str, str]], nvram: str = "") -> str:
    """`xml` with path and format of some disks by target, and with `nvram` where it is given.

    Every <backingStore> of such a disk goes: libvirt would take it for the chain, and not look at the images.
    """
    root = _parsed(xml)
    for disk in root.iterfind("devices/disk"):
        target = disk.find("target")
        if target is not None and target.get("dev") in sources:
            _set_source(disk, *sources[target.get("dev") or ""])
    firmware = root.find("os/nvram")
    if nvram and firmware is not None:
        source = firmware.find("source")
        if source is not None:
            source.set("file", nvram)
        else:
            firmware.text = nvram
    return ET.tostring(root, encoding="unicode")


def _set_source(disk: ET.Element, path: str, form: str) -> None:
    for name in ("backingStore", "mirror"):
        for element in disk.findall(name):
            disk.remove(element)
    source, driver = disk.find("source"), disk.find("driver")
    if source is not None:
        source.attrib.pop("index", None)
        source.set("file", path)
    if driver is None:
        driver = ET.Element("driver", {"name": "qemu"})
        disk.insert(0, driver)
    driver.set("type", form)


def _parsed(xml: str) -> ET.Element:
    """The root; the prefixes of name spaces stay as they are."""
    for _, (prefix, uri) in ET.iterparse(io.StringIO(xml), events=("start-ns",)):
        if prefix:
            ET.register_namespace(prefix, uri)
    return ET.fromstring(xml)


def record_xml(record: Record, domain: str, parent: str = "") -> str:
    """What libvirt keeps of `record`: the new images by disk, and the `domain` as it was.

    https://libvirt.org/formatsnapshot.html
    """
    root = ET.Element("domainsnapshot")
    ET.SubElement(root, "name").text = record.name
    ET.SubElement(root, "state").text = "shutoff"
    ET.SubElement(root, "creationTime").text = str(int(record.created))
    if parent:
        ET.SubElement(ET.SubElement(root, "parent"), "name").text = parent
    ET.SubElement(root, "memory", {"snapshot": "no"})
    inactive = _parsed(domain)
    _disks(ET.SubElement(root, "disks"), record, inactive)
    root.append(inactive)
    return ET.tostring(root, encoding="unicode")


def _disks(disks: ET.Element, record: Record, domain: ET.Element) -> None:
    """Every disk of the domain: libvirt chooses itself for one that is not named."""
    made = {part.target: part for part in record.disks if part.overlay}
    for target in (element.get("dev") or "" for element in domain.iterfind("devices/disk/target")):
        if target not in made:
            ET.SubElement(disks, "disk", {"name": target, "snapshot": "no"})
            continue
        disk = ET.SubElement(disks, "disk", {"name": target, "snapshot": "external", "type": "file"})
        ET.SubElement(disk, "driver", {"type": "qcow2"})
        ET.SubElement(disk, "source", {"file": made[target].overlay})
