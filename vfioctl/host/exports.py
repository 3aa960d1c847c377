"""Disks that the kernel gives to others and does not hold exclusively: to loop devices, to other hosts. Reads only.

nvmet_bdev_ns_enable() names no holder, nvmet_passthru_ctrl_enable() opens the controller's node (drivers/nvme/target),
and fd_configure_device() any file (drivers/target/target_core_file.c). Each keeps the path as somebody has written it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from vfioctl.frozen import frozen
from vfioctl.host import blocks
from vfioctl.host.blocks import Block
from vfioctl.host.readers import device_place, entries, text
from vfioctl.paths import Paths

SUBSYSTEMS = "sys/kernel/config/nvmet/subsystems"
BACKSTORES = "sys/kernel/config/target/core"
NODES = "/dev/"


@frozen
class Export:
    """Who has the node at `path`: `what` ends a sentence that begins with its name; `help` ends it."""

    path: str
    what: str
    help: str


def of(paths: Paths, found: Iterable[Block]) -> Iterator[tuple[str, Export]]:
    """(name, export) for each of the devices `found` that somebody has so."""
    shown = [block for block in found if not block.hidden]
    for export in _every(paths):
        name = _name(paths, export.path)
        yield from ((block.name, export) for block in shown if block.name == name or _is_behind(block, name))


def unplaced(paths: Paths) -> Iterator[Export]:
    """Those whose path leads nowhere any more: udev takes away a link, and the disk stays with who has it."""
    for export in _every(paths):
        if "/" in export.path.removeprefix(NODES) and not os.path.exists(paths.at(export.path)):
            yield export


def _every(paths: Paths) -> Iterator[Export]:
    every = (*_loops(paths), *_namespaces(paths), *_backstores(paths))
    return (export for export in every if export.path.startswith(NODES))  # a file lies on what is mounted


def _loops(paths: Paths) -> Iterator[Export]:
    for name in entries(paths.at("sys/class/block")):
        path = text(paths.at("sys/class/block", name, "loop/backing_file")) or ""
        yield Export(path, f"what /dev/{name} shows", f"Detach it with: losetup --detach /dev/{name}")


def _namespaces(paths: Paths) -> Iterator[Export]:
    """Of the NVMe target: namespaces, or a whole controller (`passthru`)."""
    for subsystem in entries(paths.at(SUBSYSTEMS)):
        base = paths.at(SUBSYSTEMS, subsystem)
        numbered = (f"namespaces/{number}" for number in entries(os.path.join(base, "namespaces")))
        for place in (os.path.join(base, name) for name in (*numbered, "passthru")):
            if text(os.path.join(place, "enable")) == "1":
                what = f"given to other hosts by the NVMe target {subsystem}"
                remedy = "Disable it there first, as with nvmetcli."
                yield Export(text(os.path.join(place, "device_path")) or "", what, remedy)


def _backstores(paths: Paths) -> Iterator[Export]:
    """Of the SCSI target (LIO), whose tools write down the path that they have configured."""
    for adapter in entries(paths.at(BACKSTORES)):
        for name in entries(paths.at(BACKSTORES, adapter)):
            place = paths.at(BACKSTORES, adapter, name)
            if text(os.path.join(place, "enable")) == "1":
                path = text(os.path.join(place, "udev_path")) or ""
                yield Export(path, f"a backstore ({name}) of the SCSI target", "Delete it first, as with targetcli.")


def _is_behind(block: Block, controller: str) -> bool:
    """Whether `block` is a whole disk of the NVMe controller of that name; with multipath the subsystem links to it."""
    if block.name != block.disk or not blocks.CONTROLLER.fullmatch(controller):
        return False
    above = os.path.dirname(block.path)
    return os.path.basename(above) == controller or os.path.lexists(os.path.join(above, controller))


def _name(paths: Paths, path: str) -> str:
    """How sysfs calls the node to which `path` leads: by its number, else by the name that it has in /dev."""
    place = os.path.realpath(paths.at(path))
    return _by_number(paths, place) or os.path.relpath(place, os.path.realpath(paths.at(NODES))).replace("/", "!")


def _by_number(paths: Paths, place: str) -> str:
    try:
        node = device_place(os.stat(place))
    except OSError:
        return ""
    shown = paths.at("sys/dev", node)
    return os.path.basename(os.path.realpath(shown)) if node and os.path.exists(shown) else ""
