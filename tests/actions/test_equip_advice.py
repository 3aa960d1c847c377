"""What is said to somebody who gives a guest its first card."""

from __future__ import annotations

from typing import Any, cast

import pytest
from topologies import Facts, Topology

from vfioctl.actions.equip.advice import advice
from vfioctl.actions.equip.choosing import Chosen
from vfioctl.actions.equip.devices import Outfit
from vfioctl.frozen import replace
from vfioctl.host.model import PciDevice
from vfioctl.testing.domains import domain

CARD = PciDevice("0000:01:00.0", 0x030000, 0x10DE, 0x2206, driver="nouveau", iommu_group=1, boot_vga=True)
USB = PciDevice("0000:03:00.0", 0x0C0330, 0x1912, 0x0014, driver="xhci_hcd", iommu_group=3)
SCREEN = "<graphics type='spice'/><video><model type='qxl'/></video>"
HIDDEN = "<features><kvm><hidden state='on'/></kvm></features>"
GIVEN = Outfit(hostdevs=(CARD.address,))


class Machine(Facts):
    """Facts of a host with a card and a USB controller."""

    def has_device(self, address: str) -> bool:
        return address in self._functions.known

    def kind(self, address: str) -> int:
        return self._functions.known[address].kind


def said(
    outfit: Outfit = GIVEN, *, card: PciDevice | None = CARD, nvram: str | None = "/n.fd", secure: bool = False,
    hostdevs: tuple[str, ...] = (), **of: Any,
) -> set[str]:
    loader = "<loader secure='yes'" if secure else "<loader"
    given = (CARD.address, *hostdevs) if card else hostdevs
    xml = domain("win11", nvram=nvram, hostdevs=given, **of).replace("<loader", loader).encode()
    host = Machine(Topology((CARD, USB), frozenset(), frozenset()))
    return {one.code for one in advice(xml, Chosen(outfit, card=card), cast(Any, host))}


def test_a_guest_with_uefi_and_a_screen_hears_of_its_second_screen_only() -> None:
    assert said(devices=SCREEN) == {"domain.virtual_display"}


def test_a_guest_without_a_card_hears_nothing() -> None:
    assert said(Outfit(), card=None, nvram=None) == set()


def test_a_bios_is_named() -> None:
    assert "domain.no_uefi" in said(devices=SCREEN, nvram=None)


def test_a_guest_that_nobody_can_type_into_is_named() -> None:
    assert "domain.no_input" in said()


@pytest.mark.parametrize(("devices", "hostdevs"), [
    (SCREEN, ()), ("<input type='evdev'><source dev='/dev/input/event1'/></input>", ()), ("", (USB.address,)),
], ids=["screen", "evdev", "controller"])  # fmt: skip
def test_a_guest_with_something_to_type_on_is_not(devices: str, hostdevs: tuple[str, ...]) -> None:
    assert "domain.no_input" not in said(devices=devices, hostdevs=hostdevs)


@pytest.mark.parametrize("card", [CARD, replace(CARD, vendor=0x1002)])
def test_hiding_the_hypervisor_is_called_needless(card: PciDevice) -> None:
    assert "guest.hidden" in said(card=card, devices=SCREEN, rest=HIDDEN)
    assert "guest.hidden" not in said(card=card, devices=SCREEN)


def test_looking_glass_without_a_screen_is_warned_of() -> None:
    shared = f"{SCREEN}<shmem name='looking-glass'/>"
    assert said(replace(GIVEN, memory=64), devices=shared) == {"looking_glass.access"}
    assert "looking_glass.no_spice" in said(replace(GIVEN, memory=64))


def test_a_rom_under_secure_boot_is_warned_of() -> None:
    rom = replace(GIVEN, roms={CARD.address: "/srv/card.rom"})
    assert "rom.secure_boot" not in said(rom, devices=SCREEN)
    assert "rom.secure_boot" in said(rom, devices=SCREEN, secure=True)
