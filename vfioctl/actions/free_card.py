"""Which card a new guest gets: the one that is named, or the first that nobody has. Reads; changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from typing import TYPE_CHECKING

from vfioctl.actions.caller import NOTHING_CHANGED
from vfioctl.actions.facts import owners
from vfioctl.config.load import named_devices
from vfioctl.config.schema import PCI_ADDRESS, Setting, WrongValue, pci_address
from vfioctl.errors import Refused
from vfioctl.findings import Finding, Severity
from vfioctl.frozen import frozen
from vfioctl.host.model import USB_CONTROLLER
from vfioctl.plugin.acceptance import against
from vfioctl.plugin.choice import choose
from vfioctl.plugin.device_users import MEDIATED, Named, users
from vfioctl.plugin.group import in_the_way
from vfioctl.plugin.operations import FIRST_FREE, ChosenCard
from vfioctl.virt.devices import PCI

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.host.host import Host
    from vfioctl.host.model import PciDevice

CARDS = "See which cards there are with: vfioctl gpu list"


@frozen
class _Known:
    """Who has what: `named` are the guests whose XML or file names a function, `given` those that have it now."""

    host: Host
    named: Mapping[Named, Set[str]]
    given: Mapping[str, str]

    def has(self, functions: Iterable[str]) -> tuple[str, ...]:
        """The guests that have one of `functions` now, or name it."""
        return self._users((PCI, one) for one in functions)

    def has_part(self, functions: Iterable[str]) -> tuple[str, ...]:
        """The guests of what goes with the driver of one of `functions`, or with whose driver one of these goes."""
        return self._users(part for one in functions for part in _parts(self.host.device(one)))

    def _users(self, wanted: Iterable[Named]) -> tuple[str, ...]:
        every = tuple(wanted)
        now = {self.given[name] for kind, name in every if kind == PCI and name in self.given}
        return tuple(sorted(now.union(*(self.named.get(one, frozenset()) for one in every))))


def _parts(device: PciDevice) -> Iterator[Named]:
    """Its physical function, its virtual ones, its mediated devices."""
    physical = (device.physical,) if device.physical else ()
    yield from ((PCI, address) for address in (*physical, *device.virtual))
    yield from ((MEDIATED, uuid) for uuid in device.mediated)


def _known(call: Call, guests: Iterable[tuple[str, str]]) -> _Known:
    """Who has what, where `guests` are names with XML."""
    documents = tuple(guests)
    named = {used: set(names) for used, names in users(documents).items()}
    for guest in {name for name, _ in documents}:
        for address in named_devices(call.paths, guest):
            named.setdefault((PCI, address), set()).add(guest)
    return _Known(call.host(), named, owners(call.paths))


def choose_card(call: Call, word: str, guests: Iterable[tuple[str, str]]) -> ChosenCard:
    """The card at the address `word`, or the first free one; `guests` are names with XML.

    Raises Refused("card.unknown", "card.none_free").
    """
    known = _known(call, guests)
    if word == FIRST_FREE:
        return _first_free(known)
    functions = _functions(_named(word, known.host), known.host)
    if not any(known.host.device(one).is_card for one in functions):
        raise _unknown(f"{word} is no graphics card, and none goes along with it.")
    return ChosenCard(functions, tuple(_shared(functions, known)))


def choose_controller(call: Call, word: str, guests: Iterable[tuple[str, str]]) -> ChosenCard:
    """The USB controller at the address `word`, and what goes along. Raises Refused("controller.unknown", "card.*")."""
    known = _known(call, guests)
    functions = _functions(_named(word, known.host), known.host)
    if not any(known.host.kind(one) == USB_CONTROLLER for one in functions):
        hint = "See which there are with: vfioctl gpu list --all"
        raise Refused("controller.unknown", f"{word} is no USB controller.", state=NOTHING_CHANGED, hints=(hint,))
    return ChosenCard(functions, tuple(_shared(functions, known)))


def _named(word: str, host: Host) -> str:
    try:
        address: str = pci_address(word, Setting("gpu", "str", "", "", form="pci"))
    except WrongValue:
        raise _unknown(f"{word!r} names no card: expected {PCI_ADDRESS}, or {FIRST_FREE}.") from None
    if not host.has_device(address):
        raise _unknown(f"There is no PCI device at {address}.")
    return address


def _functions(address: str, host: Host) -> tuple[str, ...]:
    """It and what goes along, in the order of their addresses: function 0 first."""
    return tuple(sorted(choose((address,), (), host).addresses))


def _first_free(known: _Known) -> ChosenCard:
    reasons = []
    for device in sorted(known.host.gpus(), key=lambda one: (bool(one.boot_vga), not one.is_display)):
        functions = _functions(device.address, known.host)
        if why := _not_free(functions, known):
            reasons.append(f"{device.address} is not: {why}.")
        else:
            return ChosenCard(functions)
    said = " ".join(("No card of this host is free.", *reasons))
    raise Refused("card.none_free", said, state=NOTHING_CHANGED, hints=(CARDS, "Or name one with: --gpu ADDRESS"))


def _not_free(functions: tuple[str, ...], known: _Known) -> str:
    """Why nobody else may have it, "" where it is free."""
    if guests := known.has(functions):
        return f"{' and '.join(guests)} has it"
    if guests := known.has_part(functions):
        return f"{' and '.join(guests)} has a part of its card"
    if met := in_the_way(functions, known.host):
        return f"{met[0].address} shares its IOMMU group and stays with the host"
    return _kept(tuple(known.host.device(one) for one in functions), known.host)


def _kept(devices: tuple[PciDevice, ...], host: Host) -> str:
    given = [one.address for one in devices]
    found = next((item for one in devices for item in against(one, host, given)), None)
    return found.message.rstrip(".") if found else ""


def _shared(functions: tuple[str, ...], known: _Known) -> Iterator[Finding]:
    if guests := known.has(functions) or known.has_part(functions):
        said = f"{functions[0]} is also the card of {', '.join(guests)}: only one of them can run at a time."
        yield Finding("card.shared", said, Severity.WARN, hint="See who has it now with: vfioctl status")


def _unknown(said: str) -> Refused:
    return Refused("card.unknown", said, state=NOTHING_CHANGED, hints=(CARDS,))
