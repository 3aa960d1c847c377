"""PCI drivers and the modules behind them. Reads only."""

from __future__ import annotations

import os

from vfioctl.host.readers import ADDRESS, entries, link_name
from vfioctl.paths import Paths


def is_present(paths: Paths, name: str) -> bool:
    """Whether the PCI driver `name` is registered, built in or loaded."""
    return bool(name) and os.path.isdir(os.path.join(paths.pci_drivers, name))


def module_of(paths: Paths, name: str) -> str | None:
    """The module that registered the PCI driver `name`; None when it is built in or not there."""
    return link_name(os.path.join(paths.pci_drivers, name, "module"))


def is_vfio(paths: Paths, name: str) -> bool:
    """Whether `name` is vfio-pci or a variant driver (mlx5_vfio_pci); all of them build on vfio_pci_core."""
    if f"-{name}".replace("_", "-").endswith("-vfio-pci"):  # where they are built in, nothing but the name tells
        return True
    if not name:
        return False
    users = entries(paths.at("sys/module/vfio_pci_core/holders"))
    return bool(users) and module_of(paths, name) in users


def addresses_on(paths: Paths, name: str) -> tuple[str, ...]:
    """The PCI functions bound to the driver `name`."""
    names = entries(os.path.join(paths.pci_drivers, name))
    return tuple(entry for entry in names if ADDRESS.fullmatch(entry))


def addresses_on_module(paths: Paths, module: str) -> tuple[str, ...]:
    """The PCI functions bound to any driver of the module `module`."""
    listed = entries(paths.at("sys/module", module, "drivers"))
    names = [name.removeprefix("pci:") for name in listed if name.startswith("pci:")]
    if not listed:
        names = [name for name in entries(paths.pci_drivers) if module_of(paths, name) == module]
    return tuple(sorted(address for name in names for address in addresses_on(paths, name)))
