"""Which version of libvirt or QEMU is installed, as its program says. Runs each program at most once."""

from __future__ import annotations

import re
from collections.abc import Iterable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import VfioctlError

if TYPE_CHECKING:
    from typing import TypeAlias

    from vfioctl.host.host import Host

    Version: TypeAlias = tuple[int, ...]

NUMBER = re.compile(r"\d+(?:\.\d+)+")
DEADLINE = 3.0
DAEMONS = ("virtqemud", "libvirtd")


def told(host: Host, names: Iterable[str]) -> tuple[str, Version] | None:
    """The first of the programs `names` that tells its version, with that."""
    for name in names:
        try:
            found = NUMBER.search(host.shown((name, "--version"), deadline=DEADLINE).stdout)
        except VfioctlError:
            continue  # not installed, or it does not start: the next one may
        if found:
            return name, tuple(map(int, found[0].split(".")))
    return None


def of_libvirt(host: Host) -> Version | None:
    """The version of libvirt's daemon; None where that cannot be told."""
    daemon = told(host, DAEMONS)
    return daemon[1] if daemon else None
