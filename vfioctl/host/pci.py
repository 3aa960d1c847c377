"""PCI functions as sysfs shows them, each read once and kept. Only a child reads driver_override, see overrides.py."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from vfioctl.errors import VfioctlError
from vfioctl.frozen import replace
from vfioctl.host.model import PciDevice
from vfioctl.host.overrides import read_overrides
from vfioctl.host.readers import ADDRESS, entries, link_name, number, parse_flag, parse_number, text
from vfioctl.host.stuck import read_stuck
from vfioctl.paths import Paths
from vfioctl.proc import Programs

LINK_PREFIXES = ("consumer:pci:", "supplier:pci:")
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"  # compiled where a name is as long: few hosts have any
UUID_LENGTH = 36


class Functions:
    """The functions of one host: `known` are those that have been read. Make a new one to look anew."""

    def __init__(self, paths: Paths, programs: Programs) -> None:
        self.paths = paths
        self.programs = programs
        self.known: dict[str, PciDevice] = {}
        self._files: dict[str, tuple[str, ...]] = {}

    def load(self, wanted: Iterable[str]) -> tuple[PciDevice, ...]:
        """The functions at `wanted` that there are; one child looks at all that are not known yet."""
        every = tuple(wanted)
        self._read([address for address in every if address not in self.known])
        return tuple(self.known[address] for address in every if address in self.known)

    def _read(self, missing: Iterable[str]) -> None:
        fresh = [device for address in missing if (device := read(self.paths, address, self.files(address)))]
        recorded = {device.address for device in fresh if read_stuck(self.paths, device.address)}
        asked = tuple(device.address for device in fresh if device.address not in recorded)
        said, hung = read_overrides(self.programs.writer, self.paths, asked) if asked else ({}, ())
        for device in fresh:
            stuck = device.address in recorded or device.address in hung
            self.known[device.address] = with_override(device, said.get(device.address), stuck=stuck)

    def files(self, address: str) -> tuple[str, ...]:
        """The names of what the function at `address` has in sysfs; none when it is not there."""
        if address not in self._files:
            self._files[address] = entries(self.paths.pci(address)) if ADDRESS.fullmatch(address) else ()
        return self._files[address]

    def kind(self, address: str) -> int | None:
        """Base class and sub-class of the function at `address`; where it is not known yet, nothing else is read."""
        device = self.known.get(address)
        return device.kind if device else kind(self.paths, address)

    def driver(self, address: str) -> str | None:
        """The driver that the function at `address` is bound to, or None."""
        device = self.known.get(address)
        return device.driver if device else driver(self.paths, address)

    def iommu_group(self, address: str) -> int | None:
        """The number of the IOMMU group of the function at `address`; None without an IOMMU."""
        device = self.known.get(address)
        return device.iommu_group if device else iommu_group(self.paths, address)

    def made(self, address: str) -> dict[str, tuple[str, ...]]:
        """What the driver of the function at `address` has made: of it and each virtual one the mediated devices."""
        virtual = _virtual(self.paths.pci(address), self.files(address))
        return {owner: _mediated(self.files(owner)) for owner in (address, *virtual)}


def addresses(paths: Paths) -> tuple[str, ...]:
    """Every PCI address of the host, sorted."""
    return tuple(name for name in entries(paths.pci_devices) if ADDRESS.fullmatch(name))


def exists(paths: Paths, address: str) -> bool:
    """Whether a function is at `address`."""
    return bool(ADDRESS.fullmatch(address)) and os.path.exists(paths.pci(address, "class"))


def read(paths: Paths, address: str, shown: tuple[str, ...]) -> PciDevice | None:
    """The function at `address`, which has the files `shown`; None when there is none or when it vanishes meanwhile."""
    base = paths.pci(address)

    def said(name: str) -> str | None:
        return text(f"{base}/{name}") if name.partition("/")[0] in shown else None

    class_code, vendor, device = (parse_number(said(name), 0) for name in ("class", "vendor", "device"))
    if class_code is None or vendor is None or device is None:
        return None
    return PciDevice(
        address=address,
        class_code=class_code,
        vendor=vendor,
        device=device,
        subsystem_vendor=parse_number(said("subsystem_vendor"), 0) or 0,
        subsystem_device=parse_number(said("subsystem_device"), 0) or 0,
        driver=driver(paths, address) if "driver" in shown else None,
        iommu_group=iommu_group(paths, address) if "iommu_group" in shown else None,
        boot_vga=parse_flag(said("boot_vga")),
        reset_methods=tuple((said("reset_method") or "").split()),
        power_state=said("power_state"),
        power_control=said("power/control"),
        d3cold_allowed=said("d3cold_allowed"),
        numa_node=parse_number(said("numa_node")),
        links=links(shown),
        physical=_physical(base, shown),
        virtual=_virtual(base, shown),
        mediated=_mediated(shown),
        vfio="vfio-dev" in shown,
    )


def kind(paths: Paths, address: str) -> int | None:
    """Base class and sub-class of the function at `address`, or None when there is none."""
    code = number(paths.pci(address, "class"), 0) if ADDRESS.fullmatch(address) else None
    return None if code is None else code >> 8


def driver(paths: Paths, address: str) -> str | None:
    """The driver that the function at `address` is bound to, or None."""
    return link_name(paths.pci(address, "driver"))


def iommu_group(paths: Paths, address: str) -> int | None:
    """The number of the IOMMU group of the function at `address`; None without an IOMMU."""
    return parse_number(link_name(paths.pci(address, "iommu_group")))


def links(shown: Iterable[str]) -> tuple[str, ...]:
    """The addresses that device links among the files `shown` of a function name, as supplier or consumer."""
    found = {name[len(LINK_PREFIXES[0]) :] for name in shown if name.startswith(LINK_PREFIXES)}
    return tuple(sorted(found))


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
    return tuple(name for name in shown if len(name) == UUID_LENGTH and re.fullmatch(UUID, name))


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
