"""DRM cards and connectors of a PCI function. Reads only."""

from __future__ import annotations

import os

from vfioctl.host.model import Connector
from vfioctl.host.readers import entries, is_numbered, text
from vfioctl.paths import Paths


def cards(paths: Paths, address: str) -> tuple[str, ...]:
    """The DRM cards ("card0") of the function at `address`."""
    return tuple(name for name in entries(paths.pci(address, "drm")) if is_numbered(name, "card"))


def connectors(paths: Paths, address: str) -> tuple[Connector, ...]:
    """The connectors of every card of the function at `address`."""
    found = []
    for card in cards(paths, address):
        base = paths.pci(address, "drm", card)
        for name in entries(base):
            if name.startswith(f"{card}-"):
                found.append(Connector(name, text(os.path.join(base, name, "status")) or "unknown"))
    return tuple(found)
