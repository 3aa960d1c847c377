"""Which card a new guest gets: by its address, or the first that nobody has and the host can do without."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from topologies import Facts, Topology

from vfioctl.actions.free_card import choose_card
from vfioctl.errors import Refused
from vfioctl.events.qemu_arguments import NAMESPACE
from vfioctl.frozen import replace
from vfioctl.host.model import PciDevice
from vfioctl.paths import Paths
from vfioctl.plugin import ChosenCard
from vfioctl.testing.domains import domain

CARD = PciDevice("0000:01:00.0", 0x030000, 0x10DE, 0x2206, driver="nouveau", iommu_group=1, boot_vga=True)
SOUND = PciDevice("0000:01:00.1", 0x040300, 0x10DE, 0x1AEF, driver="snd_hda_intel", iommu_group=1)
SECOND = PciDevice("0000:02:00.0", 0x030000, 0x1002, 0x73BF, driver="amdgpu", iommu_group=2, boot_vga=False)
NPU = PciDevice("0000:00:0b.0", 0x120000, 0x8086, 0x7D1D, driver="intel_vpu", iommu_group=5)
MDEV = "5a7c1f0e-6d3b-4c2a-9f8e-0b1c2d3e4f50"
WHOLE = PciDevice(
    "0000:41:00.0", 0x030200, 0x10DE, 0x2235, driver="nouveau", iommu_group=41, virtual=("0000:41:00.4",),
    mediated=(MDEV,),
)  # fmt: skip
VIRTUAL = replace(
    WHOLE, address="0000:41:00.4", iommu_group=64, virtual=(), mediated=(), physical=WHOLE.address
)
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


def test_a_card_in_the_arguments_of_a_guest_is_not_free(tmp_path: Path) -> None:
    words = "<qemu:arg value='-device'/><qemu:arg value='vfio-pci,host=02:00.0'/>"
    xml = domain("nas", rest=f"<qemu:commandline>{words}</qemu:commandline>")
    guests = (("nas", xml.replace("<domain ", f"<domain xmlns:qemu='{NAMESPACE}' ", 1)),)
    assert chosen(tmp_path, "first-free", CARD, SECOND, guests=guests).functions == (CARD.address,)


@pytest.mark.parametrize("setting", ["devices", "include"])
def test_a_card_in_the_file_of_a_guest_is_not_free(tmp_path: Path, setting: str) -> None:
    file = Path(Paths(str(tmp_path)).guest_config("nas"))
    file.parent.mkdir(parents=True)
    file.write_text(f'{setting} = ["{SECOND.address}"]\n')
    guests = (("nas", domain("nas")),)
    assert chosen(tmp_path, "first-free", CARD, SECOND, guests=guests).functions == (CARD.address,)
    assert chosen(tmp_path, "first-free", CARD, SECOND).functions == (SECOND.address,), "there is no such guest"


@pytest.mark.parametrize(("theirs", "ours"), [(WHOLE, VIRTUAL), (VIRTUAL, WHOLE)])
def test_a_card_of_which_a_guest_names_a_part_is_not_free(tmp_path: Path, theirs: PciDevice, ours: PciDevice) -> None:
    guests = (("small", domain("small", hostdevs=(theirs.address,))),)
    assert chosen(tmp_path, "first-free", WHOLE, VIRTUAL, CARD, guests=guests).functions == (CARD.address,)
    assert [one.code for one in chosen(tmp_path, ours.address, WHOLE, VIRTUAL, guests=guests).findings] == [
        "card.shared"
    ]


def test_a_card_of_which_a_guest_names_a_mediated_device_is_not_free(tmp_path: Path) -> None:
    hostdev = f"<hostdev mode='subsystem' type='mdev'><source><address uuid='{MDEV}'/></source></hostdev>"
    guests = (("small", domain("small", devices=hostdev)),)
    assert chosen(tmp_path, "first-free", WHOLE, CARD, guests=guests).functions == (CARD.address,)


def test_a_card_with_a_screen_comes_before_an_accelerator_and_the_firmwares_own_last(tmp_path: Path) -> None:
    assert chosen(tmp_path, "first-free", CARD, NPU, SECOND).functions == (SECOND.address,)
    assert chosen(tmp_path, "first-free", CARD, NPU).functions == (NPU.address,)


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
