"""Which functions of a slot go where one of them goes."""

from __future__ import annotations

import pytest

from vfioctl.frozen import replace
from vfioctl.host.companions import belongs
from vfioctl.host.model import PciDevice

CARD = PciDevice("0000:01:00.0", 0x030000, 0x10DE, 0x2206, iommu_group=1)
SOUND = PciDevice("0000:01:00.1", 0x040300, 0x10DE, 0x1AEF, iommu_group=1)
APART = replace(SOUND, iommu_group=2)


def test_a_function_of_the_same_slot_and_group_belongs_to_it():
    assert belongs(SOUND, CARD)
    assert belongs(CARD, SOUND)


@pytest.mark.parametrize(
    "other",
    [
        APART, replace(SOUND, address="0000:02:00.1"), replace(SOUND, class_code=0x060100),
        replace(SOUND, physical=CARD.address), CARD,
    ],
)  # fmt: skip
def test_no_other_does(other):
    assert not belongs(other, CARD)


def test_a_device_link_ties_it_to_a_card_and_to_nothing_else():
    tied = replace(APART, links=(CARD.address,))
    assert belongs(tied, CARD)
    assert belongs(APART, replace(CARD, links=(APART.address,)))
    assert not belongs(CARD, tied)


def test_a_virtual_function_has_no_company():
    assert not belongs(SOUND, replace(CARD, physical="0000:01:00.2"))


def test_without_groups_nothing_shares_one():
    assert not belongs(replace(SOUND, iommu_group=None), replace(CARD, iommu_group=None))
