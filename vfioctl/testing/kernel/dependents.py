"""Virtual functions and mediated devices: made by a driver, and gone with it once nobody uses them.

Linux, Documentation/PCI/pci-iov-howto.rst and driver-api/vfio-mediated-device.rst. A driver that comes back makes none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from vfioctl.testing.kernel.devices import DeviceNode
from vfioctl.testing.kernel.nodes import Link

if TYPE_CHECKING:
    from vfioctl.testing.kernel.pci import Device, Pci

VFIO_MAJOR = 243


def link_virtual(pci: Pci) -> None:
    """Link each virtual function with its physical one."""
    for physical in pci.devices.values():
        for number, virtual in enumerate(_virtual(pci, physical)):
            physical.directory.add(f"virtfn{number}", Link(f"../{virtual.address}"))
            virtual.directory.add("physfn", Link(f"../{physical.address}"))


def make_mediated(pci: Pci, parent: Device) -> None:
    """The mediated devices of `parent`, each with the node of its group."""
    sys = pci.kernel.sys
    for uuid, group in parent.spec.mediated:
        place = parent.directory.directory(uuid)
        place.add("iommu_group", Link("../" * (parent.depth + 2) + f"kernel/iommu_groups/{group}"))
        sys.directory(f"kernel/iommu_groups/{group}/devices").add(uuid, Link(f"../../../../{parent.sysfs}/{uuid}"))
        sys.directory("bus/mdev/devices").add(uuid, Link(f"../../../{parent.sysfs}/{uuid}"))
        pci.kernel.nodes.add(DeviceNode(f"/dev/vfio/{group}", os.makedev(VFIO_MAJOR, int(group)), None))


def in_use(pci: Pci, device: Device) -> bool:
    """Whether somebody has a virtual function or a mediated device of `device` open: then its remove() waits."""
    return any(is_open(pci, f"/dev/vfio/{group}") for group in _groups(pci, device))


def _groups(pci: Pci, device: Device) -> Iterator[object]:
    """The groups of what goes with the driver of `device`, the mediated devices of its virtual functions among it."""
    yield from (group for _, group in device.spec.mediated)
    for virtual in _virtual(pci, device):
        if virtual.is_offered:
            yield virtual.spec.group
        yield from _groups(pci, virtual)


def is_open(pci: Pci, path: str) -> bool:
    """Whether a process has the node at `path` open."""
    files = (file for process in pci.kernel.processes.by_pid.values() for file in process.files.values())
    return any(file.node.path == path for file in files)


def vanish(pci: Pci, device: Device) -> None:
    """What goes with the driver of `device`."""
    for virtual in _virtual(pci, device):
        pci.disappear(virtual.address)
    for entry in tuple(device.directory.children):
        if entry.startswith("virtfn"):
            device.directory.drop(entry)
    sys = pci.kernel.sys
    for uuid, group in device.spec.mediated:
        if uuid in device.directory.children:
            device.directory.drop(uuid)
            sys.directory("bus/mdev/devices").drop(uuid)
            sys.directory("kernel/iommu_groups").drop(group)
            pci.kernel.nodes.remove(f"/dev/vfio/{group}")


def _virtual(pci: Pci, physical: Device) -> tuple[Device, ...]:
    return tuple(device for device in pci.devices.values() if device.spec.physical == physical.address)
