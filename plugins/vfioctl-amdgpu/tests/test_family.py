"""Which graphics are part of the processor, as real machines show them in lspci."""

from __future__ import annotations

import pytest
from vfioctl_amdgpu.family import Family, family, has_vendor_reset

from vfioctl.host.model import PciDevice


def gpu(device: int, address: str = "0000:03:00.0") -> PciDevice:
    return PciDevice(address, 0x030000, 0x1002, device, driver="amdgpu")


def test_graphics_beside_functions_of_the_processor_are_integrated_whatever_their_id():
    """As on Rembrandt: HDMI sound, then the ACP coprocessor (1022:15e2) in the same slot (mroboff/vm-curator#44)."""
    card = gpu(0xFFFF, "0000:e4:00.0")
    slot = (card, PciDevice("0000:e4:00.5", 0x048000, 0x1022, 0x15E2))
    assert family(card, slot) is Family.APU


@pytest.mark.parametrize("device", [0x15BF, 0x164E, 0x1681, 0x13C0, 0x163F])
def test_graphics_with_a_known_id_are_integrated(device):
    assert family(gpu(device), (gpu(device),)) is Family.APU


def test_graphics_on_the_root_bus_are_integrated():
    card = gpu(0x9874, "0000:00:01.0")
    assert family(card, (card,)) is Family.APU


@pytest.mark.parametrize("device", [0x73BF, 0x73DF, 0x73FF, 0x743F])
def test_rdna2_cards_are_known_by_their_ids(device):
    card = gpu(device)
    sound = PciDevice("0000:03:00.1", 0x040300, 0x1002, 0xAB28)
    assert family(card, (card, sound)) is Family.RDNA2


def test_other_cards_are_other():
    assert family(gpu(0x744C), (gpu(0x744C),)) is Family.OTHER


@pytest.mark.parametrize(("device", "known"), [(0x687F, True), (0x731F, True), (0x67DF, True), (0x73BF, False)])
def test_vendor_reset_knows_polaris_vega_and_navi1(device, known):
    assert has_vendor_reset(gpu(device)) is known
