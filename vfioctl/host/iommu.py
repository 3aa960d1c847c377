"""IOMMU groups: whether there is an IOMMU, who shares a group, who in it stands in the way. Reads only."""

from __future__ import annotations

import os

from vfioctl.host.model import IommuGroup, PciDevice
from vfioctl.host.readers import ADDRESS, entries, text
from vfioctl.paths import Paths

# Drivers that promise not to do DMA into the group: vfio's own view of a viable group (vfio.rst).
HARMLESS = ("pci-stub", "pcieport")


def is_on(paths: Paths) -> bool:
    """Whether an IOMMU is active."""
    return bool(entries(paths.at("sys/class/iommu")))


def read(paths: Paths, number: int) -> IommuGroup:
    """The group `number`."""
    base = paths.at("sys/kernel/iommu_groups", str(number))
    members = tuple(name for name in entries(os.path.join(base, "devices")) if ADDRESS.fullmatch(name))
    return IommuGroup(number, text(os.path.join(base, "type")) or "unknown", members)


def stands_in_the_way(member: PciDevice, *, is_vfio: bool) -> bool:
    """Whether this member of a group keeps the group from being given."""
    return member.driver is not None and not is_vfio and member.driver not in HARMLESS
