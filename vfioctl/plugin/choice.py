"""From the functions that somebody names to those that go: what is taken along and what is left out. Reads facts."""

from __future__ import annotations

from collections.abc import Iterable

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


def choose(named: Iterable[str], excluded: Iterable[str], host: Host, allowed: Iterable[str] = ()) -> Choice:
    """What goes when the functions `named` are asked for, and never those `excluded`; `allowed` as in acceptance.

    A companion that a check would refuse stays: nobody asked for it. Raises VfioctlError("pci.unknown").
    """
    from vfioctl.plugin.acceptance import against

    out = frozenset(excluded)
    first = tuple(dict.fromkeys(address for address in named if address not in out))
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
