"""Which functions go where one of them goes, by themselves or when somebody wants it. Pure.

What can be given is the IOMMU group (Linux, Documentation/driver-api/vfio.rst); a card's sound, USB and USB-C functions
are tied to it by device links besides (drivers/pci/quirks.c, quirk_gpu_*). Sharing the slot's number means nothing.
"""

from __future__ import annotations

from vfioctl.host.model import PciDevice


def belongs(other: PciDevice, device: PciDevice) -> bool:
    """Whether the function `other` goes along where `device` goes.

    Never a bridge, and with SR-IOV neither the physical function nor a virtual one: each goes alone.
    """
    if other.slot != device.slot or other.address == device.address or other.is_bridge or device.is_bridge:
        return False
    if other.physical or device.physical:
        return False
    shares = device.iommu_group is not None and other.iommu_group == device.iommu_group
    return shares or (device.is_card and _linked(other, device))


def tied(other: PciDevice, device: PciDevice) -> bool:
    """Whether they share a group or a link, in any slot. Without an IOMMU there are no groups, and all share."""
    return other.iommu_group == device.iommu_group or _linked(other, device)


def _linked(one: PciDevice, other: PciDevice) -> bool:
    return one.address in other.links or other.address in one.links
