"""What a person at a terminal wants a guest to get: asked one after the other, each with what there is to choose from.

Asks only where somebody is there, and only about a guest without a card. Changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfioctl.actions.caller import Query
from vfioctl.actions.cards import cards
from vfioctl.actions.domains import Way, find
from vfioctl.actions.equip.looking_glass import mebibytes
from vfioctl.actions.equip.rom import check_rom
from vfioctl.actions.equip.wish import KEEP, NONE, Wish
from vfioctl.actions.free_card import choose_card
from vfioctl.actions.names import names
from vfioctl.errors import Refused
from vfioctl.host.inputs import devices
from vfioctl.host.model import USB_CONTROLLER
from vfioctl.plugin.device_users import users
from vfioctl.plugin.operations import FIRST_FREE
from vfioctl.virt.devices import PCI
from vfioctl.virt.guests import read_guests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from vfioctl.actions.caller import Call
    from vfioctl.events.model import Domain

    Users = Mapping[tuple[str, str], frozenset[str]]

TRIES = 3  # after so many answers that nothing can be made of, it is left away
MOST_INPUTS = 8


def guided(call: Call, guest: str) -> Wish:
    """The answers; an empty wish where nobody is there, where the guest has a card, or where none is wanted."""
    if not call.caller.present():
        return Wish()
    call.need_trust()
    found = find(call, guest, None)
    if found.way is not Way.BINDING or _has_card(call, found.domain):
        return Wish()
    card = _card(call, guest)
    if card in (None, NONE):
        return Wish()
    return _besides(call, guest, str(card))


def _has_card(call: Call, domain: Domain) -> bool:
    host = call.host()
    return any(host.has_device(one) and host.device(one).is_card for one in domain.pci_addresses)


def _card(call: Call, guest: str) -> str | None:
    """The address of a card, "none", or None where nobody answers."""
    with call.connection() as connection:
        guests = [one for one in read_guests(connection) if one.name != guest]
    known = [(one.name, xml) for one in guests for xml in (one.xml, one.live_xml) if xml]
    groups = cards(call).data["groups"]
    addresses = tuple(card.address for card in call.host().gpus())
    if not addresses:
        return None
    lines = tuple(line for group in groups for line in _group(group, users(known)))
    try:
        free = next(one for one in choose_card(call, FIRST_FREE, known).functions if one in addresses)
    except Refused:  # each of them has a guest, or stays with the host
        free = NONE
    return call.caller.reply(Query(f"Which card does {guest} get?", free, (*addresses, NONE), lines))


def _group(group: Mapping[str, object], named: Users) -> Iterator[str]:
    """An IOMMU group and its functions, each with who has it."""
    number, listed = group["group"], group["devices"]
    shared = "" if group["viable"] else " (shared with host devices)"
    yield ("no IOMMU group" if number is None else f"IOMMU group {number}") + shared
    for one in listed if isinstance(listed, list) else ():
        of = sorted(named.get((PCI, one["address"]), frozenset()))
        has = f"given to {one['guest']}" if one["guest"] else one["driver"] or "no driver"
        also = f", also of {', '.join(of)}" if of else ""
        yield f"  {one['address']}  {one['name']}  {one['kind']}  {has}{also}"


def _besides(call: Call, guest: str, card: str) -> Wish:
    """What it gets with the card."""
    about = "The emulated screen of the guest (keep it until the driver of the card runs there)"
    display = call.caller.reply(Query(about, KEEP, (KEEP, NONE)))
    evdev = tuple(_inputs(call, guest))
    usb = _controller(call, guest)
    screen = _good(call, "Largest screen for Looking Glass, such as 2560x1440, or none", mebibytes)
    device = call.host().device(card)
    rom = _good(call, "File with the ROM of the card, or none", lambda path: check_rom(call.paths, path, device))
    return Wish(card, usb, rom, display or KEEP, evdev, screen)


def _inputs(call: Call, guest: str) -> Iterator[str]:
    for path in devices(call.paths)[:MOST_INPUTS]:
        if call.caller.ask(f"May {guest} have {path}? Both Ctrl keys together switch it over and back."):
            yield path


def _controller(call: Call, guest: str) -> tuple[str, ...]:
    host = call.host()
    there = [host.device(one) for one in host.addresses() if host.kind(one) == USB_CONTROLLER]
    if not there:
        return ()
    known = names(call.paths, there)
    lines = tuple(f"  {one.address}  {known[one.address]}  group {one.iommu_group}" for one in there)
    choices = (*(one.address for one in there), NONE)
    chosen = call.caller.reply(Query(f"Which USB controller does {guest} get?", NONE, choices, lines))
    return () if chosen in (None, NONE) else (str(chosen),)


def _good(call: Call, text: str, check: Callable[[str], object]) -> str:
    """The answer that `check` takes; "" for none, and after TRIES others."""
    for _ in range(TRIES):
        said = call.caller.reply(Query(text, NONE))
        if said in (None, NONE):
            return ""
        try:
            check(str(said))
        except Refused as error:
            call.caller.tell(f"{error.message} {' '.join(error.hints)}")
        else:
            return str(said)
    return ""
