"""Platform framebuffers that the firmware set up on a card (simpledrm, efifb, vesafb). Reads only."""

from __future__ import annotations

import os
from collections.abc import Iterable

from vfioctl.host.model import Framebuffer
from vfioctl.host.readers import ADDRESS, entries, flag, link_name
from vfioctl.paths import Paths

DEVICES = "sys/bus/platform/devices"


def names(paths: Paths) -> tuple[str, ...]:
    """The names of all platform framebuffers."""
    return tuple(name for name in entries(paths.at(DEVICES)) if "framebuffer" in name)


def of_card(paths: Paths, every: Iterable[str], address: str) -> tuple[Framebuffer, ...]:
    """Those of the platform framebuffers called `every` whose parent is the card at `address`.

    Older kernels give them no parent (drivers/firmware/sysfb.c sets one since Linux 6.9): then they are the
    boot card's.
    """
    base = paths.at(DEVICES)
    mine = (name for name in every if _belongs(paths, os.path.join(base, name), address))
    return tuple(Framebuffer(name, link_name(os.path.join(base, name, "driver"))) for name in mine)


def _belongs(paths: Paths, path: str, address: str) -> bool:
    parent = _parent(path)
    if parent is None:
        return bool(flag(paths.pci(address, "boot_vga")))
    return parent == address


def _parent(path: str) -> str | None:
    """The PCI address that the link `path` goes through last."""
    try:
        parent = os.path.basename(os.path.dirname(os.readlink(path)))
    except OSError:  # not a link: it vanished, so nobody's
        return ""
    return parent if ADDRESS.fullmatch(parent) else None
