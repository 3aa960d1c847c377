"""The rest of /proc: global files, and real processes where ours or a real QEMU are asked about."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from vfioctl.testing.kernel.nodes import Attribute, Constant, Directory, Link, Node

if TYPE_CHECKING:
    from vfioctl.testing.kernel.core import Kernel

PASSED = frozenset(("stat", "comm", "cmdline", "cgroup", "status", "maps"))
LISTED = ("qemu", "libvirtd", "virtqemud")


class RealFiles(Directory):
    """/proc/PID/fd of a real process: its files below `root`, locks and the like. It has no simulated node open."""

    def __init__(self, pid: str, root: str) -> None:
        super().__init__(volatile=True)
        self.pid = pid
        self.root = f"{root}/"

    def lookup(self, name: str) -> Node | None:
        try:
            target = os.readlink(f"/proc/{self.pid}/fd/{name}")
        except OSError:
            return None
        return named(name, self, Link(target, volatile=True)) if target.startswith(self.root) else None

    def entries(self) -> Iterator[tuple[str, Node]]:
        try:
            names = os.listdir(f"/proc/{self.pid}/fd")
        except OSError:
            names = []
        return iter([(name, node) for name in names if (node := self.lookup(name))])


class RealProcess(Directory):
    """/proc/PID of a real process. `cgroup` stands for the unit that the simulated systemd runs it in."""

    def __init__(self, pid: str, cgroup: str | None, root: str) -> None:
        super().__init__(volatile=True)
        self.pid = pid
        self.cgroup = cgroup
        self.root = root

    def lookup(self, name: str) -> Node | None:
        if name == "cgroup" and self.cgroup:
            return named(name, self, Constant(f"0::{self.cgroup}"))
        if name == "fd":
            return named(name, self, RealFiles(self.pid, self.root))
        if name not in PASSED:
            return None
        node = Attribute(lambda: real_file(self.pid, name))
        node.volatile = True
        return named(name, self, node)

    def entries(self) -> Iterator[tuple[str, Node]]:
        return iter([(name, node) for name in (*sorted(PASSED), "fd") if (node := self.lookup(name))])


class Proc(Directory):
    """/proc: simulated processes, and real ones when they are named or are of a virtual machine."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__()
        self.kernel = kernel
        self.cgroups: dict[int, str] = {}  # of real processes that run as simulated units

    def lookup(self, name: str) -> Node | None:
        if node := super().lookup(name):
            return node
        if name.isdigit() and os.path.isdir(f"/proc/{name}"):
            return named(name, self, RealProcess(name, self.cgroups.get(int(name)), self.kernel.shown_root))
        return None

    def entries(self) -> Iterator[tuple[str, Node]]:
        root = self.kernel.shown_root
        real = [(pid, RealProcess(pid, None, root)) for pid in self._real_pids() if pid not in self.children]
        return iter([*self.children.items(), *real])

    def _real_pids(self) -> list[str]:
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if int(pid) in self.cgroups or real_file(pid, "comm").startswith(LISTED):
                    found.append(pid)
            except OSError:
                continue  # it has ended meanwhile
        return found


def named(name: str, parent: Directory, node: Node) -> Node:
    node.name = name
    node.parent = parent
    return node


def real_file(pid: str, name: str) -> str:
    """What the real /proc says. Raises OSError."""
    fd = os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(fd, 65536):
            parts.append(part)
    finally:
        os.close(fd)
    return b"".join(parts).decode(errors="surrogateescape")


def fill_proc(kernel: Kernel) -> None:
    """Make the global files of /proc."""
    proc = kernel.proc
    spec = kernel.spec
    proc.add("cmdline", Constant(spec.command_line))
    proc.add("version", Constant(f"Linux version {spec.kernel} (vfioctl test kit)"))
    proc.add("modules", Attribute(kernel.modules.table))
    system = proc.directory("sys/kernel")
    system.add("osrelease", Constant(spec.kernel))
    with open("/proc/sys/kernel/random/uuid", encoding="ascii") as fresh:
        system.directory("random").add("boot_id", Constant(fresh.read().strip()))
    own = proc.directory("self")
    own.add("mounts", Constant(_mounts(kernel).encode()))
    own.add("mountinfo", Constant(_mountinfo(kernel).encode()))
    proc.add("mounts", Link("self/mounts"))
    own.directory("net").add("route", Constant(_routes(kernel).encode()))
    proc.add("net", Link("self/net"))
    proc.add("swaps", Constant("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority"))
    nvidia = next((module for module in spec.modules if module.name == "nvidia"), None)
    if nvidia:
        version = Attribute(lambda: f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {nvidia.version}\n")
        proc.directory("driver/nvidia", volatile=True).add("version", version)


def _mounted(kernel: Kernel) -> list[tuple[str, str]]:
    return [(spec.disk, spec.mounted_at) for spec in kernel.spec.devices if spec.disk and spec.mounted_at]


def _mounts(kernel: Kernel) -> str:
    return "".join(f"/dev/{disk}p1 {place} ext4 rw 0 0\n" for disk, place in _mounted(kernel))


def _mountinfo(kernel: Kernel) -> str:
    lines = "".join(
        f"{30 + index} 1 259:1 / {place} rw,relatime shared:1 - ext4 /dev/{disk}p1 rw\n"
        for index, (disk, place) in enumerate(_mounted(kernel))
    )
    return lines + "60 1 0:22 / /sys rw,nosuid - sysfs sysfs rw\n"


def _routes(kernel: Kernel) -> str:
    head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
    names = [spec.network for spec in kernel.spec.devices if spec.network and spec.driver]
    return head + "".join(f"{name}\t00000000\t0100A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n" for name in names[:1])
