"""Cards are called as pci.ids calls them."""

from __future__ import annotations

from pathlib import Path

from vfioctl.actions.names import kind, names
from vfioctl.host.model import PciDevice
from vfioctl.paths import Paths

IDS = """# a comment
10de  NVIDIA Corporation
\t2206  GA102 [GeForce RTX 3080]
\t\t1458 403f  Gigabyte
\t1aef  GA102 High Definition Audio Controller
8086  Intel Corporation
\t2206  Not this one
C 03  Display controller
\t00  VGA compatible controller
"""
CARD = PciDevice("0000:01:00.0", 0x030000, 0x10DE, 0x2206)
OTHER = PciDevice("0000:02:00.0", 0x0B4000, 0x1234, 0x2206)


def test_cards_are_called_as_pci_ids_calls_them(tmp_path: Path) -> None:
    (tmp_path / "usr/share/misc").mkdir(parents=True)
    (tmp_path / "usr/share/misc/pci.ids").write_text(IDS)
    found = names(Paths(str(tmp_path)), (CARD, OTHER))
    assert found == {CARD.address: "NVIDIA GA102 [GeForce RTX 3080]", OTHER.address: "vendor 1234"}


def test_a_file_that_is_none_costs_nothing_but_the_names(tmp_path: Path) -> None:
    (tmp_path / "usr/share/misc/pci.ids").mkdir(parents=True)
    assert names(Paths(str(tmp_path)), (CARD,)) == {CARD.address: "NVIDIA"}


def test_a_file_larger_than_any_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "usr/share/misc").mkdir(parents=True)
    (tmp_path / "usr/share/misc/pci.ids").write_text(IDS.ljust((16 << 20) + 1))
    assert names(Paths(str(tmp_path)), (CARD,)) == {CARD.address: "NVIDIA"}


def test_without_pci_ids_the_vendor_does(tmp_path: Path) -> None:
    assert names(Paths(str(tmp_path)), (CARD,)) == {CARD.address: "NVIDIA"}
    assert (kind(CARD), kind(OTHER)) == ("VGA", "class 0b40")
