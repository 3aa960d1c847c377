"""What libvirt's files say of its virtual networks; libvirt itself is not asked. Reads only.

A defined network has a file in /etc, an active one a status file in /run (src/network/bridge_driver.c). Read from both
on libvirt 9.0 by tests/libvirt/test_failing_starts.py.
"""

from __future__ import annotations

import os
import re
from enum import StrEnum
from errno import EACCES

from vfioctl.host.readers import raw
from vfioctl.paths import Paths

DEFINED = "etc/libvirt/qemu/networks"
ACTIVE = "run/libvirt/network"
AUTOSTARTED = "autostarted"  # there once the daemon has started the networks of this boot
STATUS_SIZE = 1 << 20
BRIDGE = re.compile(rb"<bridge\b[^>]*\bname=['\"]([^'\"]*)['\"]")


class NetworkState(StrEnum):
    ACTIVE = "active"
    INACTIVE = "inactive"
    ABSENT = "absent"
    UNKNOWN = "unknown"


def state(paths: Paths, name: str) -> NetworkState:
    """How the network `name` stands; unknown when the files may not be looked at, or it may start by itself."""
    try:
        if _is_file(paths.at(ACTIVE, f"{name}.xml")):
            return NetworkState.ACTIVE
        if not _is_file(paths.at(DEFINED, f"{name}.xml")):
            return NetworkState.ABSENT if os.path.isdir(paths.at(ACTIVE)) else NetworkState.UNKNOWN
        starts_yet = _is_file(paths.at(DEFINED, "autostart", f"{name}.xml")) and not _is_file(
            paths.at(ACTIVE, AUTOSTARTED)
        )
    except (PermissionError, ValueError):
        return NetworkState.UNKNOWN
    return NetworkState.UNKNOWN if starts_yet else NetworkState.INACTIVE


def _is_file(path: str) -> bool:
    """Raises PermissionError where only root can tell."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def read(paths: Paths, name: str) -> bytes | None:
    """The XML of the network `name`: the status file of an active one, else its definition; None where there is none.

    Raises PermissionError where only root may read it: libvirt keeps both for root alone (virXMLSaveFile, 0600).
    """
    if "/" in name or "\0" in name:
        return None
    places = (paths.at(ACTIVE, f"{name}.xml"), paths.at(DEFINED, f"{name}.xml"))
    found = next((data for path in places if (data := raw(path, STATUS_SIZE))), None)
    if found is None and any(_is_file(path) and not os.access(path, os.R_OK) for path in places):
        raise PermissionError(EACCES, os.strerror(EACCES), name)
    return found


def bridge(paths: Paths, name: str) -> str | None:
    """The bridge of the active network `name`; None when it has none, or does not say."""
    found = BRIDGE.search(raw(paths.at(ACTIVE, f"{name}.xml"), STATUS_SIZE) or b"")
    return found[1].decode("utf-8", "replace") if found else None
