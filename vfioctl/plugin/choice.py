"""From the functions that somebody names to those that go: what is taken along and what is left out. Reads facts."""

from __future__ import annotations

from collections.abc import Container, Iterable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.frozen import frozen

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.host.model import PciDevice


@frozen
class Choice:
    """The functions to give: those named, in their order, then those `along` with them. `stays` are not given."""

    named: tuple[PciDevice, ...]
    along: tuple[PciDevice, ...]
    stays: tuple[PciDevice, ...]

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(device.address for device in (*self.named, *self.along))


def choose(
    named: Iterable[str], excluded: Iterable[str], host: Host, allowed: Iterable[str] = (), include: Iterable[str] = ()
) -> Choice:
    """What goes when the functions `named` are asked for, and never those `excluded`; `allowed` as in acceptance.

    Of `include` those go as if they were named that share a group, a slot or a device link with what goes. A companion
    that a check would refuse stays: nobody asked for it. Raises VfioctlError("pci.unknown").
    """
    out = frozenset(excluded)
    asked = {address: None for address in named if address not in out}
    further = tuple(address for address in include if address not in out)
    while True:
        choice = _with_companions(tuple(asked), out, host, allowed)
        members = [address for address in further if address not in asked and _is_member(address, choice, host)]
        if not members:
            return choice
        asked.update(dict.fromkeys(members))


def _is_member(address: str, choice: Choice, host: Host) -> bool:
    from vfioctl.host.companions import tied  # few guest files include anything

    member = host.device(address)
    return any(member.slot == given.slot or tied(member, given) for given in (*choice.named, *choice.along))


def _with_companions(first: tuple[str, ...], out: Container[str], host: Host, allowed: Iterable[str]) -> Choice:
    from vfioctl.plugin.acceptance import against

    given = {address: host.device(address) for address in first}
    stays: dict[str, PciDevice] = {}
    waiting = list(given.values())
    while waiting:
        for other in host.companions(waiting.pop(0).address):
            if other.address in given or other.address in stays or other.address in out:
                continue
            if against(other, host, given, allowed):
                stays[other.address] = other
            else:
                given[other.address] = other
                waiting.append(other)
    every = tuple(given.values())
    return Choice(every[: len(first)], every[len(first) :], tuple(stays.values()))
