"""What in the definitions of guests would keep a start from its card, or lose the host. One look at each guest.

What only a plan can know (groups, holders, steps) `vfioctl plan GUEST` says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vfioctl.doctor import guest_cards, guest_input, guest_memory, guest_screen, session_guests
from vfioctl.doctor.definitions import Definition, Definitions, read
from vfioctl.findings import Finding
from vfioctl.host.host import Host

Look = Callable[[Definition, Definitions, Host], Iterator[Finding]]
LOOKS: tuple[Look, ...] = (guest_cards.look, guest_screen.look, guest_input.look, guest_memory.look)


def findings(host: Host) -> Iterator[Finding]:
    """What each look finds in each guest that takes devices, and what could not be read."""
    every = read(host)
    yield from every.findings
    for guest in every.guests:
        for look in LOOKS:
            yield from look(guest, every, host)
    yield from session_guests.findings(host)
