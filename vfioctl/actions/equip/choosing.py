"""From words to what a domain gets: card, ROM, input devices, shared memory. Reads the host; changes nothing."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from vfioctl.actions.caller import NOTHING_CHANGED
from vfioctl.actions.equip.devices import Outfit, rom_of
from vfioctl.actions.equip.looking_glass import mebibytes
from vfioctl.actions.equip.rom import check_rom
from vfioctl.actions.equip.wish import NONE
from vfioctl.actions.free_card import choose_card, choose_controller
from vfioctl.errors import Refused
from vfioctl.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vfioctl.actions.caller import Call
    from vfioctl.actions.equip.wish import Wish
    from vfioctl.events.model import Domain
    from vfioctl.findings import Finding
    from vfioctl.host.model import PciDevice

KEYBOARD = "-event-kbd"  # udev's ending for a keyboard in /dev/input/by-id


@frozen
class Chosen:
    """What is to be put in, what is to be said of it, and the card that the guest has then; None for none."""

    outfit: Outfit
    findings: tuple[Finding, ...] = ()
    card: PciDevice | None = None


def choose(call: Call, wish: Wish, domain: Domain, xml: bytes, others: Iterable[tuple[str, str]]) -> Chosen:
    """What `wish` means on this host; `others` are the other guests with their XML.

    Raises Refused("card.*", "controller.unknown", "rom.*", "input.unknown", "screen.size").
    """
    known = tuple(others)
    card = choose_card(call, wish.gpu, known) if wish.gpu else None
    controllers = tuple(choose_controller(call, one, known) for one in wish.usb)
    named = tuple(item for found in (card, *controllers) if found for item in found.functions)
    has = _card(call, (*named, *domain.pci_addresses))
    inputs = tuple(_input(call, path) for path in wish.evdev)
    keyboards = [path for path in inputs if path.endswith(KEYBOARD)] or list(inputs[:1])
    outfit = Outfit(
        hostdevs=tuple(dict.fromkeys(named)), roms=_roms(call, wish.rom, has, xml) if wish.rom else {}, inputs=inputs,
        keyboards=frozenset(keyboards), memory=mebibytes(wish.screen) if wish.screen else 0,
        without_display=wish.display == NONE, hidden=wish.hidden,
    )  # fmt: skip
    said = tuple(item for found in (card, *controllers) if found for item in found.findings)
    return Chosen(outfit, said, has)


def _card(call: Call, addresses: Iterable[str]) -> PciDevice | None:
    host = call.host()
    there = (host.device(address) for address in addresses if host.has_device(address))
    return next((device for device in there if device.is_card), None)


def _roms(call: Call, path: str, card: PciDevice | None, xml: bytes) -> dict[str, str]:
    if card is None:
        said = "The guest has no card that the ROM could be for."
        raise Refused("rom.no_card", said, state=NOTHING_CHANGED, hints=("Give it one, too: --gpu ADDRESS",))
    named = rom_of(xml, card.address)
    if named not in (None, path):
        what = f"the ROM {named}" if named else "how its ROM is used"
        said = f"The domain already says {what} for {card.address}."
        hint = "Take that <rom> out of the domain first, with: virsh edit GUEST"
        raise Refused("rom.named", said, state=NOTHING_CHANGED, hints=(hint,))
    check_rom(call.paths, path, card)
    return {card.address: path}


def _input(call: Call, path: str) -> str:
    """The input device `path`, as it was named: a link in by-id stays the same where event numbers change."""
    place = call.paths.at(path)
    try:
        good = path.startswith("/dev/input/") and stat.S_ISCHR(os.stat(place).st_mode)
    except OSError:
        good = False
    if good:
        return path
    said = f"There is no input device {path}."
    hint = "See which there are with: ls /dev/input/by-id/*-event-*"
    raise Refused("input.unknown", said, state=NOTHING_CHANGED, hints=(hint,))
