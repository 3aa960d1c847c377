"""What every guest with a device needs: memory, and an IOMMU group that nobody has open. Reads only."""

from __future__ import annotations

import os
from collections.abc import Iterator

from vfioctl.events.needs import mask_of
from vfioctl.handoff.start_model import Start
from vfioctl.host import memory
from vfioctl.host.model import DeviceNode
from vfioctl.host.processor import present_cpus
from vfioctl.plugin.types import Finding

MIB = 1 << 20
FEW = 8  # nodes that are named: a set may have 10,000 that are not there


def look(start: Start) -> Iterator[Finding]:
    """What is too little or not free."""
    yield from _memory(start)
    yield from _nodes(start)
    if start.needs.pins:
        yield from _pins(start)
    yield from _groups(start)


def _memory(start: Start) -> Iterator[Finding]:
    """The kernel promises no memory to a file or memfd that is mapped shared (accountable_mapping in mm/mmap.c)."""
    pinned = bool(start.request.domain.pci_addresses)
    amounts = [share.bytes for share in start.needs.memory if share.page is None and (pinned or not share.shared)]
    info = memory.meminfo(start.paths)
    if not amounts or "MemTotal" not in info:
        return
    limit, what = _limit(start, info)
    wanted = sum(amounts) if what != "swap" else max(amounts)
    if limit is not None and wanted > limit:
        yield Finding(
            "start.memory",
            f"The guest needs {wanted // MIB} MiB of memory, and the host can give {limit // MIB} MiB at the most.",
            hint=start.edit("Give it less"),
        )


def _nodes(start: Start) -> Iterator[Finding]:
    """NUMA nodes that the host does not have."""
    wanted = frozenset(start.needs.nodes)
    there = memory.nodes(start.paths) if wanted else frozenset()
    missing = sorted(wanted - there) if there else []
    for node in missing[:FEW]:
        yield Finding(
            "start.numa_node",
            f"The guest's memory is to come from NUMA node {node}, which this host does not have.",
            hint=start.edit("See which there are with virsh capabilities, and change <numatune>"),
        )


def _pins(start: Start) -> Iterator[Finding]:
    """CPUs of which there is none: sched_setaffinity(2) takes a set with one that is there."""
    there = mask_of(present_cpus(start.paths))
    for pin in start.needs.pins if there else ():
        if pin and not pin & there:
            first = (pin & -pin).bit_length() - 1
            yield Finding(
                "start.cpu_missing",
                f"The guest is pinned to CPU {first} of the host{' and others' if pin >> first > 1 else ''}, "
                "which this host does not have.",
                hint=start.edit("See which there are with lscpu, and change <cputune>"),
            )


def _limit(start: Start, info: dict[str, int]) -> tuple[int | None, str]:
    """The most memory that one guest can have whatever else ends, and what sets it.

    A guest with a device of VFIO has all of its memory pinned, so swap does not count. Of the others the kernel
    refuses, by its setting, what is more than memory and swap, or more than it may promise to all.
    """
    if start.request.domain.pci_addresses:
        return info["MemTotal"], "pinned"
    mode = memory.overcommit(start.paths)
    if mode == memory.STRICT:
        return info.get("CommitLimit"), "promised"
    return (info["MemTotal"] + info.get("SwapTotal", 0), "swap") if mode == memory.HEURISTIC else (None, "")


def _groups(start: Start) -> Iterator[Finding]:
    """Groups that a process has open while their devices are with the host: QEMU could not open them."""
    host = start.request.host
    given = {device.iommu_group: device.address for device in start.request.devices if device.iommu_group is not None}
    held = {device.iommu_group for device in start.request.devices if host.is_vfio_driver(device.driver or "")}
    nodes = [node for group in given if group not in held and (node := _node(start, f"/dev/vfio/{group}"))]
    for holder in host.scan(nodes).holders if nodes else ():
        for path in holder.nodes:
            yield Finding(
                "start.vfio_open",
                f"Process {holder.pid} ({holder.comm}) has {path} open, the IOMMU group of "
                f"{given[int(os.path.basename(path))]}: QEMU could not open it.",
                hint="End that process; it may be a guest with another device of the group: virsh list",
            )


def _node(start: Start, path: str) -> DeviceNode | None:
    try:
        number = os.stat(start.paths.at(path)).st_rdev
    except OSError:
        return None
    return DeviceNode(path, (os.major(number), os.minor(number)), "vfio", None)
