"""Which card a new guest gets: by its address, or the first that nobody has and the host can do without."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from topologies import Facts, Topology

from vfioctl.actions.free_card import choose_card
from vfioctl.errors import Refused
from vfioctl.frozen import replace
from vfioctl.host.model import PciDevice
from vfioctl.paths import Paths
from vfioctl.plugin import ChosenCard
from vfioctl.testing.domains import domain

CARD = PciDevice("0000:01:00.0", 0x030000, 0x10DE, 0x2206, driver="nouveau", iommu_group=1, boot_vga=True)
SOUND = PciDevice("0000:01:00.1", 0x040300, 0x10DE, 0x1AEF, driver="snd_hda_intel", iommu_group=1)
SECOND = PciDevice("0000:02:00.0", 0x030000, 0x1002, 0x73BF, driver="amdgpu", iommu_group=2, boot_vga=False)
BESIDE = PciDevice("0000:03:00.0", 0x020000, 0x8086, 0x1521, driver="igb", iommu_group=2)


class Machine(Facts):
    """Facts whose cards are the topology's own."""

    def gpus(self) -> tuple[PciDevice, ...]:
        return tuple(one for one in self.topology.devices if one.is_card)

    def has_device(self, address: str) -> bool:
        return address in self._functions.known


def chosen(tmp_path: Path, word: str, *devices: PciDevice, guests: tuple[tuple[str, str], ...] = ()) -> ChosenCard:
    host = Machine(Topology(devices, frozenset(), frozenset()))
    call = SimpleNamespace(host=lambda: host, paths=Paths(str(tmp_path)))
    return choose_card(cast(Any, call), word, guests)


def test_all_functions_of_the_card_go_function_0_first(tmp_path: Path) -> None:
    for word in (CARD.address, SOUND.address, "01:00.0"):
        assert chosen(tmp_path, word, SOUND, CARD).functions == (CARD.address, SOUND.address)


def test_the_first_free_card_is_the_firmwares_own_only_when_there_is_no_other(tmp_path: Path) -> None:
    assert chosen(tmp_path, "first-free", CARD, SOUND, SECOND).functions == (SECOND.address,)
    assert chosen(tmp_path, "first-free", CARD, SOUND).functions == (CARD.address, SOUND.address)


def test_a_card_that_a_guest_names_is_not_free(tmp_path: Path) -> None:
    guests = (("win11", domain("win11", hostdevs=(SECOND.address,))),)
    assert chosen(tmp_path, "first-free", CARD, SECOND, guests=guests).functions == (CARD.address,)


def test_a_card_that_cannot_leave_its_group_is_not_free(tmp_path: Path) -> None:
    assert chosen(tmp_path, "first-free", CARD, SECOND, BESIDE).functions == (CARD.address,)


def test_where_none_is_free_it_is_said_why_of_each(tmp_path: Path) -> None:
    guests = (("win11", domain("win11", hostdevs=(CARD.address,))),)
    with pytest.raises(Refused) as refused:
        chosen(tmp_path, "first-free", CARD, SECOND, BESIDE, guests=guests)
    assert refused.value.code == "card.none_free"
    assert "win11 has it" in refused.value.message
    assert f"{BESIDE.address} shares its IOMMU group" in refused.value.message


def test_a_card_that_another_guest_names_can_be_named_and_that_is_said(tmp_path: Path) -> None:
    guests = (("win11", domain("win11", hostdevs=(SOUND.address,))),)
    found = chosen(tmp_path, CARD.address, CARD, SOUND, guests=guests)
    assert [one.code for one in found.findings] == ["card.shared"]


@pytest.mark.parametrize("word", ["0000:05:00.0", "fastest", "03:00.0"])
def test_what_is_no_card_is_refused(tmp_path: Path, word: str) -> None:
    with pytest.raises(Refused) as refused:
        chosen(tmp_path, word, CARD, replace(BESIDE, iommu_group=3))
    assert refused.value.code == "card.unknown"
