"""The character devices that belong to a PCI function or to its driver as a whole. Reads only."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence

from vfioctl.host.drivers import is_vfio
from vfioctl.host.model import DeviceNode
from vfioctl.host.readers import device_number, entries, is_numbered, link_name, parse_number, raw
from vfioctl.paths import Paths
from vfioctl.proc import in_child

# Linux 6.1 still shows controlD64, a link to card0 with its number, for which there is no node.
DRM_NODES = ("card", "renderD")
VFIO_NODE = r"/dev/vfio/(devices/vfio)?\d+$"
LOOK_SECONDS = 2.0
NVIDIA_PER_CARD = "/dev/nvidia"
NVIDIA_SHARED = ("nvidiactl", "nvidia-modeset", "nvidia-uvm", "nvidia-uvm-tools")


def of_function(paths: Paths, address: str, shown: Sequence[str], driver: str | None) -> tuple[DeviceNode, ...]:
    """Every device node of the function at `address`, bound to `driver`.

    The names `shown` of its files decide where to look: most functions have none of it.
    """
    base = paths.pci(address)
    found = [*_i2c(base, shown, address)]
    if "drm" in shown:
        found += _drm(base, address)
    if "sound" in shown:
        found += _sound(base, address)
    if "graphics" in shown:
        found += _in_class(f"{base}/graphics", entries(f"{base}/graphics"), "/dev", "fb", address)
    if "vfio-dev" in shown or is_vfio(paths, driver or ""):
        found += group_nodes(paths, base, link_name(f"{base}/iommu_group"), address)
    if "accel" in shown:
        found += _in_class(f"{base}/accel", entries(f"{base}/accel"), "/dev/accel", "accel", address)
    if "net" in shown or os.path.isdir(paths.at("sys/bus/vdpa")):
        from vfioctl.host import network_nodes  # few functions have any

        found += network_nodes.of_function(paths, address)
    if driver == "nvidia":  # nvidia-gpu is the kernel's own driver of a USB-C port and has none of its nodes
        found += _nvidia(paths, address)
    if driver == "amdgpu":
        found += _node(paths, "/dev/kfd", "kfd", None)
    return tuple(found)


def _in_class(
    directory: str, names: Iterable[str], prefix: str, role: str, address: str | None
) -> Iterator[DeviceNode]:
    """The nodes of those class devices `names` in `directory` that have one."""
    for name in names:
        if rdev := device_number(os.path.join(directory, name, "dev")):
            yield DeviceNode(f"{prefix}/{name}", rdev, role, address)


def _drm(base: str, address: str) -> Iterator[DeviceNode]:
    shown = entries(f"{base}/drm")
    nodes = (name for name in shown if is_numbered(name, *DRM_NODES))
    yield from _in_class(f"{base}/drm", nodes, "/dev/dri", "dri", address)
    for card in shown:
        for connector in entries(f"{base}/drm/{card}"):
            if connector.startswith(f"{card}-"):
                yield from _connector(f"{base}/drm/{card}/{connector}", address)


def _connector(base: str, address: str) -> Iterator[DeviceNode]:
    shown = entries(base)
    yield from _i2c(base, shown, address)
    yield from _in_class(base, (name for name in shown if name.startswith("drm_dp_aux")), "/dev", "i2c", address)


def _sound(base: str, address: str) -> Iterator[DeviceNode]:
    for card in entries(f"{base}/sound"):
        yield from _in_class(f"{base}/sound/{card}", entries(f"{base}/sound/{card}"), "/dev/snd", "snd", address)


def _i2c(base: str, shown: Iterable[str], address: str) -> Iterator[DeviceNode]:
    """Adapters below the function or a connector, and the one that a connector's `ddc` link names."""
    for entry in shown:
        if entry.startswith("i2c-") or entry == "ddc":
            adapters = f"{base}/{entry}/i2c-dev"
            yield from _in_class(adapters, entries(adapters), "/dev", "i2c", address)


def group_nodes(paths: Paths, base: str, group: str | None, address: str | None) -> Iterator[DeviceNode]:
    """The nodes through which the VFIO device in `base`, a member of the IOMMU group `group`, is opened."""
    yield from _in_class(f"{base}/vfio-dev", entries(f"{base}/vfio-dev"), "/dev/vfio/devices", "vfio", address)
    if group:
        yield from _node(paths, f"/dev/vfio/{group}", "vfio", address)


def _node(paths: Paths, path: str, role: str, address: str | None) -> Iterator[DeviceNode]:
    """The node at `path`, when there is a character device."""
    try:
        status = os.stat(paths.at(path))
    except OSError:  # not there, or not for us to see
        return
    if stat.S_ISCHR(status.st_mode):
        yield DeviceNode(path, (os.major(status.st_rdev), os.minor(status.st_rdev)), role, address)


def is_open_in(paths: Paths, pid: int, nodes: Iterable[DeviceNode]) -> bool | None:
    """Whether `pid` has one of the VFIO `nodes` open; None when its files are not for us to see, or do not answer.

    Only what is called like such a node is looked at, in a child: the other files may be on a share that is gone.
    """
    numbers = frozenset(os.makedev(*node.rdev) for node in nodes)
    report = in_child(lambda: _open_numbers(os.path.join(paths.proc, str(pid), "fd")), deadline=LOOK_SECONDS)
    if report.stuck or report.errno in (errno.EACCES, errno.EPERM):
        return None
    return not numbers.isdisjoint(map(int, report.data.split()))


def _open_numbers(directory: str) -> bytes:
    """The device numbers of what is called like a VFIO node in `directory`."""
    numbers = (number for name in os.listdir(directory) for number in _number(f"{directory}/{name}"))
    return " ".join(map(str, numbers)).encode()


def _number(link: str) -> Iterator[int]:
    try:
        if re.search(VFIO_NODE, os.readlink(link)) and stat.S_ISCHR((status := os.stat(link)).st_mode):
            yield status.st_rdev
    except OSError:  # closed since
        return


def _nvidia(paths: Paths, address: str) -> Iterator[DeviceNode]:
    """The card's own node by its minor, and the nodes that all cards share."""
    minor = nvidia_minor(paths, address)
    if minor is not None:
        yield from _node(paths, f"{NVIDIA_PER_CARD}{minor}", "nvidia", address)
    shared = [*NVIDIA_SHARED, *(f"nvidia-caps/{name}" for name in entries(paths.at("dev/nvidia-caps")))]
    for name in shared:
        yield from _node(paths, f"/dev/{name}", "nvidia", None)


def nvidia_minor(paths: Paths, address: str) -> int | None:
    """N of the card's /dev/nvidiaN, or None when the driver does not say."""
    said = raw(paths.at("proc/driver/nvidia/gpus", address, "information")) or b""
    for line in said.decode("utf-8", "replace").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "Device Minor":
            return parse_number(value.strip())
    return None
