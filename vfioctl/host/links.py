"""Network interfaces by name. Reads only."""

from __future__ import annotations

import os

from vfioctl.paths import Paths

LINKS = "sys/class/net"


def name_of(paths: Paths, name: str) -> str:
    """What sysfs calls the interface `name`, which may be an alternative name (ip-link(8), altname); "" for none."""
    if "/" in name or os.path.isdir(paths.at(LINKS, name)):
        return "" if "/" in name else name
    return _first_name(name) if paths.root == "/" else ""


def _first_name(name: str) -> str:
    """The same, asked of the kernel that runs: sysfs shows no alternative names, libvirt's SIOCGIFINDEX takes them."""
    import socket  # only where an interface is missing

    try:
        return socket.if_indextoname(socket.if_nametoindex(name))
    except (OSError, ValueError):
        return ""


def is_bridge(paths: Paths, name: str) -> bool:
    """Whether the interface that sysfs calls `name` is a bridge of the kernel."""
    return os.path.isdir(paths.at(LINKS, name, "bridge"))


def are_shown(paths: Paths) -> bool:
    """Whether sysfs shows interfaces at all."""
    return os.path.isdir(paths.at(LINKS))
