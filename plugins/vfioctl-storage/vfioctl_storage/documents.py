"""The XML of pools, as libvirt's formatstorage page describes it. Made from data; reads nothing."""

from __future__ import annotations

from xml.etree import ElementTree as ET


def pool(name: str, uuid: str, path: str, device: str = "") -> bytes:
    """A pool of the directory `path`, or of the file system on `device` that is mounted there."""
    root = ET.Element("pool", type="fs" if device else "dir")
    ET.SubElement(root, "name").text = name
    ET.SubElement(root, "uuid").text = uuid
    if device:
        ET.SubElement(ET.SubElement(root, "source"), "device", path=device)
    ET.SubElement(ET.SubElement(root, "target"), "path").text = path
    return ET.tostring(root)
