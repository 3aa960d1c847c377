"""`vfioctl enable` on a terminal asks about a guest without a card; a real libvirtd has the guest."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vfioctl.testing import scenarios

pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")
GPU, NAME = "0000:01:00.0", "win11"
SCREEN = "<graphics type='vnc'><listen type='socket'/></graphics>"


@pytest.fixture
def house(make_house: Callable[..., Any]) -> Any:
    made = make_house(replace(scenarios.two_gpu(logged_in=False), systemd=False))
    made.guest(NAME, manage=False, xml=SCREEN)
    return made


def typed(house: Any, *answers: str) -> tuple[int, str]:
    """The status of `vfioctl enable` on a terminal where `answers` are typed ahead, and all that it showed."""
    ours, theirs = pty.openpty()
    os.write(ours, "".join(f"{answer}\n" for answer in answers).encode())
    process = subprocess.Popen(house.own_argv("enable", NAME), stdin=theirs, stdout=theirs, stderr=theirs,
                               start_new_session=True, cwd="/")  # fmt: skip
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 4096)
        except OSError:  # EIO: the last one who had it open has ended
            break
    os.close(ours)
    return process.wait(60), shown.decode()


def xml(house: Any) -> str:
    return str(house.lab.virsh("dumpxml", "--inactive", NAME).stdout)


def test_the_cards_are_shown_by_group_and_the_chosen_one_is_given(house: Any) -> None:
    status, shown = typed(house, GPU, "none", "2560x1440", "none", "y")
    assert status == 0, shown
    assert "IOMMU group 14" in shown
    assert f"{GPU}  " in shown
    found = xml(house)
    assert (found.count("<hostdev"), "<graphics" in found) == (2, False), shown
    assert "<size unit='M'>64</size>" in found
    assert Path(house.host.paths.guest_config(NAME)).exists()


def test_return_all_the_way_gives_the_first_free_card_and_the_last_question_is_no(house: Any) -> None:
    before = xml(house)
    status, shown = typed(house, *[""] * 5)
    assert status == 3, shown
    assert f"[{GPU}]" in shown
    assert "+    <hostdev" in shown
    assert (xml(house), Path(house.host.paths.guest_config(NAME)).exists()) == (before, False)


def test_a_rom_that_is_none_is_asked_for_again(house: Any) -> None:
    status, shown = typed(house, GPU, "keep", "huge", "none", "/nowhere.rom", "none", "y")
    assert status == 0, shown
    assert "'huge' is no size of a screen" in shown
    assert "/nowhere.rom cannot be read" in shown
    assert "<rom" not in xml(house)


def test_who_wants_no_card_gets_a_managed_guest_as_ever(house: Any) -> None:
    status, shown = typed(house, "none")
    assert status == 0, shown
    assert "win11 has no PCI device" in shown
    assert "<hostdev" not in xml(house)
