"""Device nodes in /dev: who provides them, and what happens to open ones when they go."""

from __future__ import annotations

import fnmatch
import os
from dataclasses import dataclass
from string import digits
from typing import TYPE_CHECKING

from vfioctl.testing.kernel.nodes import BlockDevice, CharDevice, Directory, Link, Node

if TYPE_CHECKING:
    from vfioctl.testing.kernel.core import Kernel

GONE = "gone"  # where links to deleted nodes lead, so that they can still be looked at


@dataclass(frozen=True, slots=True)
class DeviceNode:
    """A node: the module whose reference count an open file raises, and the function that it belongs to."""

    path: str
    rdev: int
    module: str | None
    address: str | None = None
    block: bool = False

    def look(self) -> Node:
        """What stat(2) is to find where it is open."""
        return BlockDevice(self.rdev) if self.block else CharDevice(self.rdev)


class DeviceNodes:
    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.dev = kernel.root.directory("dev")
        self.by_path: dict[str, DeviceNode] = {}
        self.first: dict[str, DeviceNode] = {}  # by path, the first that ever had it
        self.char = kernel.sys.directory("dev/char")
        for path, major, minor in (("/dev/null", 1, 3), ("/dev/zero", 1, 5), ("/dev/tty0", 4, 0)):
            self.add(DeviceNode(path, os.makedev(major, minor), None))
        if kernel.spec.kvm:
            self.add(DeviceNode("/dev/kvm", os.makedev(10, 232), None))

    def _place(self, path: str) -> tuple[Directory, str]:
        directory, _, name = path.removeprefix("/dev/").rpartition("/")
        return (self.dev.directory(directory) if directory else self.dev), name

    def add(self, node: DeviceNode, sysfs: str = "", shown: Node | None = None) -> None:
        """Make `node`; `sysfs` is its directory in /sys/devices, for /sys/dev/char; `shown` is what /dev has."""
        directory, name = self._place(node.path)
        directory.add(name, shown or node.look())
        self.by_path[node.path] = node
        self.first.setdefault(node.path, node)
        if sysfs:
            self.char.add(_number(node.rdev), Link(f"../../{sysfs}"))

    def remove(self, path: str) -> None:
        """Remove a node; open files keep it, and say "(deleted)" (Linux 6.1)."""
        node = self.by_path.pop(path, None)
        if node is None:
            return
        directory, name = self._place(path)
        directory.drop(name)
        gone = self.kernel.root.directory(f"{GONE}/dev/{os.path.dirname(path.removeprefix('/dev/'))}".rstrip("/"))
        gone.add(f"{name} (deleted)", node.look())
        self.char.drop(_number(node.rdev))
        self.kernel.processes.node_removed(node)
        self._prune(directory)

    def _prune(self, directory: Directory) -> None:
        """devtmpfs removes a directory with its last node."""
        if directory is not self.dev and not directory.children and directory.parent:
            directory.parent.drop(directory.name)

    def matching(self, pattern: str) -> tuple[DeviceNode, ...]:
        """The nodes that a program opens as `pattern`: it looks for its card, not for the number that this once had."""
        if pattern in self.by_path:
            return (self.by_path[pattern],)
        if first := self.first.get(pattern):
            return tuple(node for node in self.by_path.values() if _is_renumbered(node, first))
        return tuple(node for path, node in self.by_path.items() if fnmatch.fnmatchcase(path, pattern))


def _is_renumbered(node: DeviceNode, first: DeviceNode) -> bool:
    of_one_device = node.address is not None and node.address == first.address
    return of_one_device and node.path.rstrip(digits) == first.path.rstrip(digits)


def _number(rdev: int) -> str:
    return f"{os.major(rdev)}:{os.minor(rdev)}"

