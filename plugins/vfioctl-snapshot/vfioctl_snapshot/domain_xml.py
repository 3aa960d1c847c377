"""The XML of a domain with other disks and another NVRAM, and the XML of libvirt's record of a snapshot. Pure."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from collections.abc import Container, Iterable, Mapping

from vfioctl_snapshot.record import Record

MADE = "Made by vfioctl."  # how a snapshot is known on its node that was made from another one


def changed(xml: str, sources: Mapping[str, tuple[str, str]], nvram: str = "") -> str:
    """`xml` with path and format of some disks by target, and with `nvram` where it is given.

    Every <backingStore> of such a disk goes: libvirt would take it for the chain, and not look at the images.
    """
    root = _parsed(xml)
    for disk in root.iterfind("devices/disk"):
        target = disk.find("target")
        if target is not None and target.get("dev") in sources:
            _set_source(disk, *sources[target.get("dev") or ""])
    system = root.find("os")
    if nvram and system is not None:
        _set_nvram(system, nvram)
    return ET.tostring(root, encoding="unicode")


def _set_nvram(system: ET.Element, path: str) -> None:
    """Where libvirt has chosen the former one, nothing names it (guest_firmware)."""
    found = system.find("nvram")
    firmware = ET.SubElement(system, "nvram") if found is None else found
    source = firmware.find("source")
    if source is not None:
        source.set("file", path)
    else:
        firmware.text = path


def without_chains(xml: str, going: Container[str]) -> str:
    """`xml` without the chain of each disk that one of the images `going` is in: libvirt looks at the images then.

    libvirt writes the chains down when it changes over a running guest, and starts no guest whose chain has a gap.
    """
    root = _parsed(xml)
    for disk, chain in _chains(root, going):
        disk.remove(chain)
    return ET.tostring(root, encoding="unicode")


def chained(xml: str, going: Container[str]) -> bool:
    """Whether one of the images `going` is in the chain of a disk, as far as `xml` has it."""
    return bool(_chains(_parsed(xml), going))


def names_one(xml: str, images: Container[str]) -> bool:
    """Whether a domain in libvirt's record of a snapshot has a disk on one of the `images`, or over it."""
    return any(source.get("file") in images for source in _parsed(xml).iterfind("*/devices/disk//source"))


def over_one(xml: str, images: Container[str]) -> bool:
    """Whether it has a disk over one of them, as far as the record has its chain."""
    return any(source.get("file") in images for source in _parsed(xml).iterfind("*/devices/disk/backingStore//source"))


def _chains(root: ET.Element, going: Container[str]) -> list[tuple[ET.Element, ET.Element]]:
    """Each disk whose <backingStore> names one of the images `going`, with that."""
    found = ((disk, disk.find("backingStore")) for disk in root.iterfind("devices/disk"))
    return [
        (disk, chain) for disk, chain in found
        if chain is not None and any(source.get("file") in going for source in chain.iter("source"))
    ]  # fmt: skip


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
    targets = (element.get("dev") or "" for element in inactive.iterfind("devices/disk/target"))
    _disks(ET.SubElement(root, "disks"), record, targets)
    root.append(inactive)
    return ET.tostring(root, encoding="unicode")


def live_xml(record: Record, targets: Iterable[str]) -> str:
    """What libvirt is asked to make of `record` of a running guest with the disks `targets`; it writes the rest."""
    root = ET.Element("domainsnapshot")
    ET.SubElement(root, "name").text = record.name
    ET.SubElement(root, "description").text = MADE
    _disks(ET.SubElement(root, "disks"), record, targets)
    return ET.tostring(root, encoding="unicode")


def _disks(disks: ET.Element, record: Record, targets: Iterable[str]) -> None:
    """Every disk of the domain: libvirt chooses itself for one that is not named."""
    made = {part.target: part for part in record.disks if part.overlay}
    for target in targets:
        if target not in made:
            ET.SubElement(disks, "disk", {"name": target, "snapshot": "no"})
            continue
        disk = ET.SubElement(disks, "disk", {"name": target, "snapshot": "external", "type": "file"})
        ET.SubElement(disk, "driver", {"type": "qcow2"})
        ET.SubElement(disk, "source", {"file": made[target].overlay})
