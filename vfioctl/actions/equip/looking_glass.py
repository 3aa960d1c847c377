"""How much memory Looking Glass shares for a screen. Pure."""

from __future__ import annotations

import re

from vfioctl.actions.caller import NOTHING_CHANGED
from vfioctl.errors import Refused

SCREEN = re.compile(r"([1-9][0-9]{2,4})x([1-9][0-9]{2,4})")
PIXEL, FRAMES = 4, 2  # bytes of a pixel without HDR, and frames that are kept
BESIDE = 10 << 20  # bytes for the pointer and what else is told (Looking Glass: IVSHMEM, "Determining memory")
LEAST = 32  # MiB


def mebibytes(screen: str) -> int:
    """The MiB, a power of two, for a screen such as "2560x1440". Raises Refused("screen.size")."""
    found = SCREEN.fullmatch(screen.strip().lower())
    if found is None:
        raise Refused(
            "screen.size", f"{screen!r} is no size of a screen: expected WIDTHxHEIGHT, such as 2560x1440.",
            state=NOTHING_CHANGED, hints=("Give the largest size that the guest's screen will have.",),
        )  # fmt: skip
    needed = int(found[1]) * int(found[2]) * PIXEL * FRAMES + BESIDE
    size = LEAST
    while size << 20 < needed:
        size *= 2
    return size
