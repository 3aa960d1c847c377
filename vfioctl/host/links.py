"""Network interfaces by name. Reads only."""

from __future__ import annotations

import os

from vfioctl.paths import Paths

LINKS = "sys/class/net"


def is_there(paths: Paths, name: str) -> bool:
    """Whether there is an interface called `name`; not by an alternative name, which sysfs does not show."""
    return "/" not in name and os.path.isdir(paths.at(LINKS, name))


def is_bridge(paths: Paths, name: str) -> bool:
    """Whether `name` is a bridge of the kernel."""
    return is_there(paths, name) and os.path.isdir(paths.at(LINKS, name, "bridge"))


def are_shown(paths: Paths) -> bool:
    """Whether sysfs shows interfaces at all."""
    return os.path.isdir(paths.at(LINKS))
