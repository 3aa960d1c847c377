"""The XML of a volume that is to be made, from the parameters of a step and the pool of it (formatstorage)."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from vfioctl.checking import TYPE_CHECKING
from vfioctl.kinds.libvirt.pools import is_group

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.txn.step import Json

FORMATS = ("raw", "qcow2")
SPARSE, METADATA, FULL = "sparse", "metadata", "full"


def document(params: Json, pool: Any) -> str:
    """A volume of `format` and `size`, above `backing` where that is given; with all its room where that is asked.

    In a volume group it always is: with less libvirt makes a snapshot of nothing (lvcreate --virtualsize), which is
    lost as soon as it is full (storage_backend_logical.c).
    """
    root = ET.Element("volume")
    ET.SubElement(root, "name").text = params["name"]
    ET.SubElement(root, "capacity", unit="bytes").text = str(params["size"])
    full = params.get("preallocation", SPARSE) == FULL or is_group(pool.XMLDesc(0))
    ET.SubElement(root, "allocation", unit="bytes").text = str(params["size"] if full else 0)
    target = ET.SubElement(root, "target")
    ET.SubElement(target, "format", type=params["format"])
    if mode := params.get("mode", ""):
        ET.SubElement(ET.SubElement(target, "permissions"), "mode").text = mode
    if params["format"] == "qcow2":
        ET.SubElement(target, "compat").text = "1.1"
    if backing := params.get("backing", ""):
        below = ET.SubElement(root, "backingStore")
        ET.SubElement(below, "path").text = backing
        ET.SubElement(below, "format", type=params["backing_format"])
    return ET.tostring(root, encoding="unicode")
