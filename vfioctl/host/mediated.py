"""Mediated devices and who uses them; pci.py tells which a function is the parent of. Reads only.

One is a directory below its parent, named by its UUID, and has an IOMMU group of its own, so its user has no node of
the parent open (Linux, Documentation/driver-api/vfio-mediated-device.rst). The parent's driver removes it when it
goes, and waits until its user has closed it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from vfioctl.host.model import DeviceNode
from vfioctl.host.nodes import group_nodes
from vfioctl.host.pid_files import can_be_qemu
from vfioctl.host.processes import arguments
from vfioctl.host.readers import ADDRESS, entries, link_name
from vfioctl.paths import Paths

BUS = "bus/mdev/devices"  # below /sys


def is_there(paths: Paths, uuid: str) -> bool:
    """Whether the mediated device `uuid` exists, whatever its parent is."""
    return os.path.lexists(paths.at("sys", BUS, uuid))


def parent_of(paths: Paths, uuid: str) -> str | None:
    """The address of the PCI function below which the mediated device `uuid` is; None when there is none."""
    name = os.path.basename(os.path.dirname(os.path.realpath(paths.at("sys", BUS, uuid))))
    return name if ADDRESS.fullmatch(name) else None


def nodes(paths: Paths, parent: str, uuid: str) -> tuple[DeviceNode, ...]:
    """The nodes that the user of the mediated device `uuid` below the function `parent` has open."""
    base = paths.pci(parent, uuid)
    group = link_name(os.path.join(base, "iommu_group")) or _group_with(paths, uuid)
    return tuple(group_nodes(paths, base, group, None))


def _group_with(paths: Paths, uuid: str) -> str | None:
    """The number of the IOMMU group that lists `uuid`; None when none does."""
    groups = paths.at("sys/kernel/iommu_groups")
    return next((name for name in entries(groups) if uuid in entries(os.path.join(groups, name, "devices"))), None)


def named_by(paths: Paths, uuids: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Of each mediated device the processes whose arguments hold a path of it, as QEMU's do, and that have VFIO open.

    For a process whose open files are not for us to see the arguments are enough.
    """
    found: dict[str, list[int]] = {uuid: [] for uuid in uuids}
    every = sorted(int(name) for name in os.listdir(paths.proc) if name.isdecimal()) if found else []
    asked = [pid for pid in every if can_be_qemu(paths, pid) and _has_vfio(paths, pid)]
    for pid, words in arguments(paths, asked).items():
        for uuid, pids in found.items():
            if any(f"/{uuid}".encode() in word for word in words):
                pids.append(pid)
    return {uuid: tuple(pids) for uuid, pids in found.items()}


def _has_vfio(paths: Paths, pid: int) -> bool:
    directory = os.path.join(paths.proc, str(pid), "fd")
    try:
        return any("/dev/vfio/" in _target(directory, name) for name in os.listdir(directory))
    except PermissionError:
        return True
    except OSError:  # it ends while we look
        return False


def _target(directory: str, name: str) -> str:
    try:
        return os.readlink(os.path.join(directory, name))
    except OSError:
        return ""
