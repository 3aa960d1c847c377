"""The keyboards and mice of this host, by the names that udev keeps for them. Reads only."""

from __future__ import annotations

import os

from vfioctl.paths import Paths

PLACE = "/dev/input/by-id"
ENDINGS = ("-event-kbd", "-event-mouse")  # of the evdev nodes; without "event" it is an older interface


def devices(paths: Paths) -> tuple[str, ...]:
    """Their paths on the host, sorted; none where there is no udev."""
    try:
        names = os.listdir(paths.at(PLACE))
    except OSError:
        return ()
    return tuple(f"{PLACE}/{name}" for name in sorted(names) if name.endswith(ENDINGS))
