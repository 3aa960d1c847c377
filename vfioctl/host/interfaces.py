"""Which PCI functions are behind a network interface. Reads only."""

from __future__ import annotations

import os

from vfioctl.host.readers import ADDRESS, entries
from vfioctl.paths import Paths

MOST_LAYERS = 4  # a VLAN over a bridge over a bond over a card


def is_behind_any(paths: Paths, address: str) -> bool:
    """Whether the function at `address` has an interface."""
    base = paths.at("sys/class/net")
    return any(address in _function(os.path.join(base, name)) for name in entries(base))


def functions(paths: Paths, name: str, depth: int = MOST_LAYERS) -> frozenset[str]:
    """The PCI functions behind the interface `name`, also through a bridge, a bond or a VLAN."""
    base = paths.at("sys/class/net", name)
    lower = [entry.removeprefix("lower_") for entry in entries(base) if entry.startswith("lower_")]
    if lower and depth:
        return frozenset().union(*(functions(paths, other, depth - 1) for other in lower))
    return _function(base)


def _function(base: str) -> frozenset[str]:
    """The function of the interface in the directory `base`; none when there is no device behind it."""
    link = os.path.join(base, "device")
    parts = [part for part in os.path.realpath(link).split("/") if ADDRESS.fullmatch(part)]
    return frozenset(parts[-1:]) if os.path.exists(link) else frozenset()
