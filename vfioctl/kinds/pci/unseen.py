"""What may have a function open and could not be looked at: nobody knows, so it is in the way. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.findings import Finding

if TYPE_CHECKING:
    from vfioctl.host.descriptors import Unseen

UNREADABLE = "End that process, or let root look into it: see what AppArmor or SELinux say of ptrace in the journal"
UNANSWERED = "End that process, or bring the file system that it waits for back or away: umount -f"


def unseen_findings(unseen: Iterable[Unseen], devices: Iterable[str]) -> Iterable[Finding]:
    """A block for each process or file that could not be looked at: it may hold the devices, and nobody knows."""
    held = ", ".join(devices)
    for one in unseen:
        code = "holder.unreadable" if one.denied else "holder.unanswered"
        yield Finding(code, f"{one.what}: it may hold {held}.", hint=UNREADABLE if one.denied else UNANSWERED)
