"""Disks behind simulated functions and what is built on them: in sysfs and /dev, and whether they can be opened."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from vfioctl.testing.kernel import contents, mounts
from vfioctl.testing.kernel.devices import DeviceNode
from vfioctl.testing.kernel.nodes import Constant, Directory, Disk, Link
from vfioctl.testing.model import FakeBlock

if TYPE_CHECKING:
    from vfioctl.testing.kernel.core import Kernel
    from vfioctl.testing.kernel.pci import Device

SECTOR = 512
NVME = re.compile(r"nvme(\d+)n(\d+)")
SUBSYSTEMS = "devices/virtual/nvme-subsystem"


class Disks:
    """The block devices that the machine shows now."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.spec = kernel.spec  # as it is now: file systems are mounted and unmounted while it runs
        self.numbers = mounts.numbers(kernel.spec)
        self.classes = kernel.sys.directory("class/block")
        self.by_number = kernel.sys.directory("dev/block")

    def populate(self) -> None:
        """What does not depend on a driver: volumes, and the file systems over several devices."""
        for volume in self.kernel.spec.volumes:
            place = self.kernel.sys.directory(f"devices/virtual/block/{volume.name}")
            self._show(place, volume, None)
            for below in volume.on:
                self._link(volume.name, below)
        for block in mounts.every_block(self.kernel.spec):
            if block.btrfs:
                base = self.kernel.sys.directory(f"fs/btrfs/{block.btrfs}")
                base.add("label", Constant(""))
                base.directory("devices").add(block.name, Link(f"../../../../class/block/{block.name}"))

    def _link(self, volume: str, below: str) -> None:
        self.kernel.sys.directory(f"devices/virtual/block/{volume}/slaves").add(
            below, Link(f"../../../../../class/block/{below}"))  # fmt: skip
        if (place := self._directory(below)) is not None:
            up = "../" * place.path.count("/")
            place.directory("holders").add(volume, Link(f"{up}devices/virtual/block/{volume}"))

    def _directory(self, name: str) -> Directory | None:
        """The directory of the block device `name`, when it is there."""
        link = self.classes.children.get(name)
        return self.kernel.sys.directory(link.target.removeprefix("../../")) if isinstance(link, Link) else None

    def mount(self, name: str, place: str) -> None:
        """Mount the file system of the block device `name`; an empty `place` unmounts it. Raises LookupError."""
        if name not in self.numbers:
            raise LookupError(f"there is no block device {name}")
        self.spec = mounts.with_mount(self.spec, name, place)

    # With the driver of the controller

    def attach(self, device: Device) -> None:
        for disk in mounts.disks_of(device.spec):
            self._show(self._place(device, disk.name).directory(disk.name), disk, device)
        for volume in self.kernel.spec.volumes:
            for below in volume.on:
                if volume.name in self.classes.children and below in self.classes.children:
                    self._link(volume.name, below)

    def _place(self, device: Device, name: str) -> Directory:
        """The directory in which the disk stands: the controller's, or with multipath the subsystem's."""
        if not (found := NVME.fullmatch(name)):
            return device.directory.directory("block")
        controller = device.directory.directory(f"nvme/nvme{found[1]}")
        if not device.spec.multipath:
            return controller
        subsystem = self.kernel.sys.directory(f"{SUBSYSTEMS}/nvme-subsys{found[1]}")
        subsystem.add(f"nvme{found[1]}", Link(f"../../../../{device.sysfs}/nvme/nvme{found[1]}"))
        path = f"nvme{found[1]}c{found[1]}n{found[2]}"
        hidden = controller.directory(path)
        hidden.add("hidden", Constant("1"))
        hidden.add("size", Constant("0"))
        self.classes.add(path, Link(f"../../{device.sysfs}/nvme/nvme{found[1]}/{path}"))
        return subsystem

    def _show(self, place: Directory, block: FakeBlock, device: Device | None) -> None:
        """The block device in sysfs and /dev, and its partitions."""
        major, minor = self.numbers[block.name]
        place.add("dev", Constant(f"{major}:{minor}"))
        place.add("size", Constant(str(block.size // SECTOR)))
        place.directory("holders")
        if block.mapped:
            place.directory("dm").add("name", Constant(block.mapped))
            place.directory("dm").add("uuid", Constant(block.uuid))
        if block.backing:
            place.directory("loop").add("backing_file", Constant(block.backing))
        target = place.path.removeprefix("/sys/")
        self.classes.add(block.name, Link(f"../../{target}"))
        self.by_number.add(f"{major}:{minor}", Link(f"../../{target}"))
        node = DeviceNode(
            f"/dev/{block.name}", os.makedev(major, minor), device.driver.module if device and device.driver else None,
            device.address if device else None, block=True)  # fmt: skip
        carried = contents.of(block.contents, block.size)
        shown = Disk(block.size, carried, lambda: mounts.is_held(self.spec, block.name), empty=block.empty)
        self.kernel.nodes.add(node, shown=shown)
        for index, partition in enumerate(block.partitions, 1):
            below = place.directory(partition.name)
            below.add("partition", Constant(str(index)))
            self._show(below, partition, device)

    def detach(self, device: Device) -> None:
        """The disks vanish, used or not; what is built on them stays and is broken, as on a real machine."""
        for disk in mounts.disks_of(device.spec):
            for block in (disk, *disk.partitions):
                self.classes.drop(block.name)
                self.by_number.drop("{}:{}".format(*self.numbers[block.name]))
                self.kernel.nodes.remove(f"/dev/{block.name}")
            if device.spec.multipath and (found := NVME.fullmatch(disk.name)):
                self.classes.drop(f"nvme{found[1]}c{found[1]}n{found[2]}")
                self.kernel.sys.directory(SUBSYSTEMS).drop(f"nvme-subsys{found[1]}")
        for name in ("nvme", "block"):
            device.directory.drop(name)
