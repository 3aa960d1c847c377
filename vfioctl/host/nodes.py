"""The character devices that belong to a PCI function or to its driver as a whole. Reads only."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator

from vfioctl.host.model import DeviceNode
from vfioctl.host.readers import device_number, entries, link_name, parse_number, raw
from vfioctl.paths import Paths

# Linux 6.1 still shows controlD64, a link to card0 with its number, for which there is no node.
DRM_NODE = r"/(card|renderD)\d+$"
NVIDIA_PER_CARD = "/dev/nvidia"
NVIDIA_SHARED = ("nvidiactl", "nvidia-modeset", "nvidia-uvm", "nvidia-uvm-tools")


def of_function(paths: Paths, address: str, driver: str | None) -> tuple[DeviceNode, ...]:
    """Every device node of the function at `address`, bound to `driver`."""
    base = paths.pci(address)
    found = [*_drm(base, address), *_sound(base, address), *_i2c(base, address)]
    found += _in_class(base, "graphics", "/dev", "fb", address)
    found += _vfio(paths, base, address)
    if driver and driver.startswith("nvidia"):
        found += _nvidia(paths, address)
    if driver == "amdgpu":
        found += _node(paths, "/dev/kfd", "kfd", None)
    return tuple(found)


def _in_class(base: str, name: str, prefix: str, role: str, address: str | None) -> Iterator[DeviceNode]:
    """The nodes of the class devices in `base`/`name`."""
    directory = os.path.join(base, name)
    for entry in entries(directory):
        rdev = device_number(os.path.join(directory, entry, "dev"))
        if rdev:
            yield DeviceNode(f"{prefix}/{entry}", rdev, role, address)


def _drm(base: str, address: str) -> Iterator[DeviceNode]:
    for node in _in_class(base, "drm", "/dev/dri", "dri", address):
        if re.search(DRM_NODE, node.path):
            yield node
    for card in entries(os.path.join(base, "drm")):
        for connector in entries(os.path.join(base, "drm", card)):
            if connector.startswith(f"{card}-"):
                yield from _connector(os.path.join(base, "drm", card, connector), address)


def _connector(base: str, address: str) -> Iterator[DeviceNode]:
    yield from _i2c(base, address)
    for node in _in_class(base, "", "/dev", "i2c", address):
        if node.path.startswith("/dev/drm_dp_aux"):
            yield node


def _sound(base: str, address: str) -> Iterator[DeviceNode]:
    for card in entries(os.path.join(base, "sound")):
        yield from _in_class(base, f"sound/{card}", "/dev/snd", "snd", address)


def _i2c(base: str, address: str) -> Iterator[DeviceNode]:
    """Adapters below the function or a connector, and the one that a connector's `ddc` link names."""
    for entry in entries(base):
        if entry.startswith("i2c-"):
            yield from _in_class(base, f"{entry}/i2c-dev", "/dev", "i2c", address)
        elif entry == "ddc":
            yield from _in_class(base, "ddc/i2c-dev", "/dev", "i2c", address)


def _vfio(paths: Paths, base: str, address: str) -> Iterator[DeviceNode]:
    is_bound = "vfio" in (link_name(os.path.join(base, "driver")) or "")
    if not is_bound and not os.path.isdir(os.path.join(base, "vfio-dev")):
        return
    yield from _in_class(base, "vfio-dev", "/dev/vfio/devices", "vfio", address)
    group = link_name(os.path.join(base, "iommu_group"))
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
