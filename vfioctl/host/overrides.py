"""driver_override of many devices, read by a detached child with a deadline for each. Never writes.

That read takes the device lock: while someone's unbind hangs, it hangs too, and SIGKILL does not end it.
"""

from __future__ import annotations

from vfioctl.host.readers import GONE
from vfioctl.kernel_io import StuckRead, Writer
from vfioctl.paths import Paths

DEADLINE = 2.0  # takes microseconds, or for ever; a busy machine must not look like a stuck one
MOST_STUCK = 3  # hung readers that one look leaves behind at most; further devices count as stuck unread
NONE = "(null)"


def read_overrides(
    writer: Writer, paths: Paths, addresses: tuple[str, ...], deadline: float = DEADLINE
) -> tuple[dict[str, str | None], tuple[str, ...]]:
    """driver_override of each of `addresses`, and those whose read does not return in `deadline` seconds."""
    known: dict[str, str | None] = {}
    stuck: list[str] = []
    for address in addresses:
        if len(stuck) == MOST_STUCK:
            break
        try:
            known[address] = read_override(writer, paths, address, deadline)
        except StuckRead:
            stuck.append(address)
    return known, tuple(address for address in addresses if address not in known)


def read_override(writer: Writer, paths: Paths, address: str, deadline: float = DEADLINE) -> str | None:
    """driver_override of `address`; None when it is not set, or the device is gone. Raises StuckRead."""
    try:
        value = writer.look(paths.pci(address, "driver_override"), deadline=deadline)
    except OSError as error:
        if error.errno in GONE:
            return None
        raise
    return None if value in ("", NONE) else value
