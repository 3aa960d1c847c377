"""The rest of /proc: global files, and real processes: those that are named, and those of a test's own daemon."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from vfioctl.testing.kernel.interfaces import fill_network
from vfioctl.testing.kernel.mounts import mountinfo, mounts, swaps
from vfioctl.testing.kernel.nodes import Attribute, Computed, Constant, Directory, Link, Node

if TYPE_CHECKING:
    from vfioctl.testing.kernel.core import Kernel

PASSED = frozenset(("stat", "comm", "cmdline", "cgroup", "status", "maps"))
LISTED = (b"qemu", b"libvirtd", b"virtqemud")
NAME = 64  # bytes, more than a command name has


class RealFiles(Computed):
    """/proc/PID/fd of a real process: its files below `root`, locks and the like. It has no simulated node open."""

    def __init__(self, pid: str, root: str) -> None:
        super().__init__()
        self.pid = pid
        self.root = f"{root}/"

    def lookup(self, name: str) -> Node | None:
        try:
            target = os.readlink(f"/proc/{self.pid}/fd/{name}")
        except OSError:
            return None
        return named(name, self, Link(target)) if target.startswith(self.root) else None

    def entries(self) -> Iterator[tuple[str, Node]]:
        try:
            names = os.listdir(f"/proc/{self.pid}/fd")
        except OSError:
            names = []
        return iter([(name, node) for name in names if (node := self.lookup(name))])


class RealProcess(Computed):
    """/proc/PID of a real process. `cgroup` stands for the unit that the simulated systemd runs it in."""

    def __init__(self, pid: str, cgroup: str | None, root: str) -> None:
        super().__init__()
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
        return named(name, self, Attribute(lambda: real_file(self.pid, name)))

    def entries(self) -> Iterator[tuple[str, Node]]:
        return iter([(name, node) for name in (*sorted(PASSED), "fd") if (node := self.lookup(name))])


class Proc(Computed):
    """/proc: simulated processes, real ones when they are named, and QEMU and libvirt in `namespaces`.

    The machine that the tests run on may have a libvirtd of its own, which is none of the simulated machine's.
    """

    def __init__(self, kernel: Kernel) -> None:
        super().__init__()
        self.kernel = kernel
        self.cgroups: dict[int, str] = {}  # of real processes that run as simulated units
        self.namespaces: set[str] = set()  # mount namespaces of private daemons, "mnt:[4026532201]"

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
        placed = [str(pid) for pid in self.cgroups if os.path.isdir(f"/proc/{pid}")]
        if not self.namespaces:
            return placed
        pids = [name for name in os.listdir("/proc") if name.isdigit()]
        NAMES.keep_only(pids)
        daemons = [pid for pid in pids if NAMES.of(pid).startswith(LISTED) and self._is_ours(pid)]
        return list(dict.fromkeys((*placed, *daemons)))

    def _is_ours(self, pid: str) -> bool:
        try:
            return os.readlink(f"/proc/{pid}/ns/mnt") in self.namespaces
        except OSError:  # it has ended, or it is somebody else's
            return False


class RealNames:
    """The command names of real processes, read from files that are kept open: opening them all takes a millisecond.

    The file of a process that has ended says so, also when another one has its number by now.
    """

    MOST = 256  # open files; one process may have 1024

    def __init__(self) -> None:
        self.open: dict[str, int] = {}

    def of(self, pid: str) -> bytes:
        """The name; empty when there is no such process."""
        try:
            return os.pread(self.open[pid], NAME, 0)
        except (KeyError, OSError):
            self._close(pid)
        try:
            fd = os.open(f"/proc/{pid}/comm", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return b""
        self.open[pid] = fd
        try:
            return os.pread(fd, NAME, 0)
        except OSError:
            return b""
        finally:
            if len(self.open) > self.MOST:
                self._close(pid)

    def keep_only(self, pids: Collection[str]) -> None:
        """Close the files of all other processes."""
        for pid in self.open.keys() - set(pids):
            self._close(pid)

    def _close(self, pid: str) -> None:
        if (fd := self.open.pop(pid, None)) is not None:
            os.close(fd)


NAMES = RealNames()  # one for every boot of the machine: these processes know nothing of it


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
    proc.add("cpuinfo", Constant(f"processor\t: 0\nflags\t\t: fpu {spec.cpu_flags}\n\n"))
    proc.add("modules", Attribute(kernel.modules.table))
    system = proc.directory("sys/kernel")
    system.add("osrelease", Constant(spec.kernel))
    with open("/proc/sys/kernel/random/uuid", encoding="ascii") as fresh:
        system.directory("random").add("boot_id", Constant(fresh.read().strip()))
    own = proc.directory("self")
    own.add("mounts", Constant(mounts(spec).encode()))
    own.add("mountinfo", Attribute(lambda: mountinfo(kernel.disks.spec)))
    proc.add("mounts", Link("self/mounts"))
    fill_network(kernel)
    proc.add("net", Link("self/net"))
    proc.add("swaps", Constant(swaps(spec).encode()))
    nvidia = next((module for module in spec.modules if module.name == "nvidia"), None)
    if nvidia:
        version = Attribute(lambda: f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {nvidia.version}\n")
        proc.directory("driver/nvidia").add("version", version)
