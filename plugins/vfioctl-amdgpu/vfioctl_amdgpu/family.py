"""Which AMD graphics a PCI device is, as far as a hand-off depends on it. Pure.

Device ids: the id table of the kernel's amdgpu driver (drivers/gpu/drm/amd/amdgpu/amdgpu_drv.c).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from vfioctl.plugin import PciDevice

AMD_CPU_VENDOR = 0x1022
ROOT_BUS = "00"

# Inclusive ranges: Sienna Cichlid, Navy Flounder, Dimgrey Cavefish, Beige Goby.
RDNA2 = ((0x73A0, 0x73BF), (0x73C0, 0x73DF), (0x73E0, 0x73FF), (0x7420, 0x743F))
# Kaveri to Mullins, Carrizo, Stoney, Raven, Renoir, Van Gogh, Yellow Carp; then those that the driver knows by IP
# discovery: Mendocino, Raphael, Phoenix, Hawk Point, Strix, Strix Halo, Krackan, Granite Ridge.
INTEGRATED = (
    (0x1304, 0x131D), (0x9830, 0x983F), (0x9850, 0x985F), (0x9870, 0x9877), (0x98E4, 0x98E4), (0x15D8, 0x15D8),
    (0x15DD, 0x15DD), (0x15E7, 0x15E7), (0x1636, 0x1638), (0x163F, 0x163F), (0x164C, 0x164E), (0x1681, 0x1681),
    (0x1506, 0x1506), (0x15BF, 0x15BF), (0x15C8, 0x15C8), (0x1900, 0x1901), (0x150E, 0x150E), (0x1586, 0x1586),
    (0x1114, 0x1114), (0x13C0, 0x13C0),
)  # fmt: skip
# What vendor-reset resets: Polaris, Vega 10 and 20, Navi 10 to 14, Arcturus and one Navi 23
# (udev/99-vendor-reset.rules in github.com/gnif/vendor-reset). Elsewhere the kernel refuses "device_specific".
VENDOR_RESET = (
    (0x67C0, 0x67FF), (0x6FDF, 0x6FDF), (0x6980, 0x699F), (0x6860, 0x687F), (0x66A0, 0x66AF), (0x7310, 0x7362),
    (0x738C, 0x738C), (0x73FF, 0x73FF),
)  # fmt: skip


class Family(StrEnum):
    APU = "APU"
    RDNA2 = "RDNA2"
    OTHER = "other"


def family(gpu: PciDevice, functions: Iterable[PciDevice]) -> Family:
    """The family of the graphics function `gpu`, given all functions of its slot."""
    if is_integrated(gpu, functions):
        return Family.APU
    return Family.RDNA2 if _in(gpu.device, RDNA2) else Family.OTHER


def is_integrated(gpu: PciDevice, functions: Iterable[PciDevice]) -> bool:
    """Whether the graphics are part of the processor.

    Known by its id; or it sits on the root bus; or it shares its slot with functions of the processor itself (security
    processor, USB, audio coprocessor: vendor 1022), while every function of a card is made by the graphics vendor.
    """
    on_root_bus = gpu.address.split(":")[1] == ROOT_BUS
    beside_processor = any(function.vendor == AMD_CPU_VENDOR for function in functions)
    return on_root_bus or beside_processor or _in(gpu.device, INTEGRATED)


def has_vendor_reset(gpu: PciDevice) -> bool:
    """Whether the module vendor-reset knows how to reset this card."""
    return _in(gpu.device, VENDOR_RESET)


def _in(device: int, ranges: Iterable[tuple[int, int]]) -> bool:
    return any(first <= device <= last for first, last in ranges)
