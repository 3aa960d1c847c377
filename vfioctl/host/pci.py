"""PCI functions as sysfs shows them. Reads no driver_override: that read can hang, see overrides.py."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from vfioctl.errors import VfioctlError
from vfioctl.frozen import replace
from vfioctl.host.model import PciDevice
from vfioctl.host.readers import ADDRESS, entries, flag, link_name, number, parse_number, text
from vfioctl.paths import Paths

LINK_PREFIXES = ("consumer:pci:", "supplier:pci:")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
UUID_LENGTH = 36


def addresses(paths: Paths) -> tuple[str, ...]:
    """Every PCI address of the host, sorted."""
    return tuple(name for name in entries(paths.pci_devices) if ADDRESS.fullmatch(name))


def exists(paths: Paths, address: str) -> bool:
    """Whether a function is at `address`."""
    return bool(ADDRESS.fullmatch(address)) and os.path.exists(paths.pci(address, "class"))


def read(paths: Paths, address: str) -> PciDevice | None:
    """The function at `address`, or None when there is none or when it vanishes meanwhile."""
    if not ADDRESS.fullmatch(address):
        return None
    base = paths.pci(address)
    shown = entries(base)
    ids = [number(os.path.join(base, name), 0) for name in ("class", "vendor", "device")]
    class_code, vendor, device = ids
    if class_code is None or vendor is None or device is None:
        return None
    return PciDevice(
        address=address,
        class_code=class_code,
        vendor=vendor,
        device=device,
        subsystem_vendor=number(os.path.join(base, "subsystem_vendor"), 0) or 0,
        subsystem_device=number(os.path.join(base, "subsystem_device"), 0) or 0,
        driver=driver(paths, address),
        iommu_group=parse_number(link_name(os.path.join(base, "iommu_group"))),
        boot_vga=flag(os.path.join(base, "boot_vga")),
        reset_methods=tuple((text(os.path.join(base, "reset_method")) or "").split()),
        power_state=text(os.path.join(base, "power_state")),
        power_control=text(os.path.join(base, "power", "control")),
        d3cold_allowed=text(os.path.join(base, "d3cold_allowed")),
        numa_node=number(os.path.join(base, "numa_node")),
        links=links(shown),
        physical=_physical(base, shown),
        virtual=_virtual(base, shown),
        mediated=_mediated(shown),
    )


def of_classes(paths: Paths, candidates: tuple[str, ...], kinds: tuple[int, ...]) -> tuple[str, ...]:
    """Those of `candidates` whose base class and sub-class is one of `kinds`."""
    return tuple(address for address in candidates if kind(paths, address) in kinds)


def kind(paths: Paths, address: str) -> int | None:
    """Base class and sub-class of the function at `address`, or None when there is none."""
    code = number(paths.pci(address, "class"), 0) if ADDRESS.fullmatch(address) else None
    return None if code is None else code >> 8


def driver(paths: Paths, address: str) -> str | None:
    """The driver that the function at `address` is bound to, or None."""
    return link_name(paths.pci(address, "driver"))


def links(shown: Iterable[str]) -> tuple[str, ...]:
    """The addresses that device links among the files `shown` of a function name, as supplier or consumer."""
    found = {name[len(LINK_PREFIXES[0]) :] for name in shown if name.startswith(LINK_PREFIXES)}
    return tuple(sorted(found))


def dependents(paths: Paths, address: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The virtual functions and the mediated devices that the driver of the function at `address` has made."""
    base = paths.pci(address)
    shown = entries(base)
    return _virtual(base, shown), _mediated(shown)


def _physical(base: str, shown: Iterable[str]) -> str | None:
    if "physfn" not in shown:
        return None
    from vfioctl.host import sriov  # few hosts have any

    return sriov.physical(base)


def _virtual(base: str, shown: Iterable[str]) -> tuple[str, ...]:
    if not any(name.startswith("virtfn") for name in shown):
        return ()
    from vfioctl.host import sriov

    return sriov.virtual(base, shown)


def _mediated(shown: Iterable[str]) -> tuple[str, ...]:
    """The UUIDs of the mediated devices among the files `shown` of a function: they are directories in it."""
    return tuple(name for name in shown if len(name) == UUID_LENGTH and UUID.fullmatch(name))


def slot_addresses(every: tuple[str, ...], address: str) -> tuple[str, ...]:
    """Of `every` address those in the slot of `address`, itself among them."""
    slot = address.rpartition(".")[0] + "."
    return tuple(other for other in every if other.startswith(slot))


def with_override(device: PciDevice, override: str | None, *, stuck: bool) -> PciDevice:
    """`device` with what the reader child found."""
    return replace(device, driver_override=override, stuck=stuck)


def unknown(address: str) -> VfioctlError:
    """The error about an `address` at which there is nothing."""
    return VfioctlError(
        "pci.unknown",
        f"There is no PCI device at {address}.",
        hints=("See which there are with: vfioctl gpu list",),
    )
