"""The simulated processes: what they hold open, where they belong, and how /proc/PID shows them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from vfioctl.testing.kernel import pid_files
from vfioctl.testing.kernel.devices import GONE, DeviceNode
from vfioctl.testing.kernel.nodes import Attribute, Constant, Directory, Link
from vfioctl.testing.model import FIRST_PID, FakeProcess

if TYPE_CHECKING:
    from vfioctl.testing.kernel.core import Kernel

FIRST_FD = 3
FIRST_SOCKET = 100
NAMESPACES = "ns"


@dataclass(slots=True)
class OpenFile:
    node: DeviceNode
    shown: str  # as in the process's own mount namespace
    deleted: bool = False
    mapped: bool = False  # only in maps, no descriptor any more


@dataclass(slots=True)
class Process:
    spec: FakeProcess
    pid: int
    files: dict[int, OpenFile] = field(default_factory=dict)
    slice_uid: int = 0  # whose slice it is in; a root's process may be in anybody's session
    directory: Directory = field(default_factory=Directory)
    fd: Directory = field(default_factory=Directory)
    paused: bool = False  # by SIGSTOP

    def cgroup(self) -> str:
        """The cgroup v2 path, as systemd 252 lays it out."""
        spec = self.spec
        user = f"/user.slice/user-{self.slice_uid}.slice"
        if spec.cgroup:
            return spec.cgroup
        if spec.container:
            return _container_group(spec.runtime, spec.container)
        if spec.user_unit:
            return f"{user}/user@{self.slice_uid}.service/session.slice/{spec.user_unit}"
        if spec.session:
            return f"{user}/session-{spec.session}.scope"
        return f"/system.slice/{spec.unit}" if spec.unit else "/init.scope"


class Processes:
    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.by_pid: dict[int, Process] = {}
        self.next_pid = FIRST_PID
        self.next_start = 5000

    # Life

    def start(self, spec: FakeProcess) -> Process | None:
        """Start a process; None when what it requires is not there."""
        if spec.requires and not self.kernel.nodes.matching(spec.requires):
            return None
        pid = spec.pid or self._free_pid()
        process = Process(spec, pid, slice_uid=spec.uid or self._uid_of(spec.session))
        self.by_pid[pid] = process
        self._fill(process)
        for pattern in spec.opens:
            self.open(process, pattern)
        for pattern in spec.maps:
            self.open(process, pattern, mapped=True)
        self.kernel.proc.add(str(pid), process.directory)
        pid_files.write(self.kernel.shown_root, spec, pid)
        return process

    def _uid_of(self, session: str | None) -> int:
        return next((one.uid for one in self.kernel.spec.sessions if one.id == session), 0)

    def _free_pid(self) -> int:
        while self.next_pid in self.by_pid:
            self.next_pid += 1
        self.next_pid += 1
        return self.next_pid - 1

    def restart(self, spec: FakeProcess) -> Process | None:
        """Start `spec` as a new process with a pid and a start time of its own."""
        self.next_start += 100
        return self.start(replace(spec, pid=0, start_time=self.next_start))

    def end(self, pid: int) -> bool:
        """End a process; whoever waits for its files goes on. False when there is none."""
        process = self.by_pid.pop(pid, None)
        if process is None:
            return False
        process.files.clear()
        self.kernel.proc.drop(str(pid))
        return True

    def where(self, **wanted: str | int | None) -> tuple[Process, ...]:
        """The processes whose spec has these values."""
        return tuple(
            process for process in tuple(self.by_pid.values())
            if all(getattr(process.spec, name) == value for name, value in wanted.items())
        )  # fmt: skip

    # Files

    def open(self, process: Process, pattern: str, *, mapped: bool = False) -> None:
        """Let `process` open every node that matches; nodes that are not there are passed over."""
        shown = dict(process.spec.shown_as)
        for node in self.kernel.nodes.matching(pattern):
            number = max(process.files, default=FIRST_FD - 1) + 1
            process.files[number] = OpenFile(node, shown.get(node.path, node.path), mapped=mapped)
            self._show_fd(process, number)

    def close(self, process: Process, path: str) -> None:
        """Let `process` close every file that it has open on `path`."""
        for number, file in tuple(process.files.items()):
            if file.node.path == path:
                del process.files[number]
                process.fd.drop(str(number))

    def _show_fd(self, process: Process, number: int) -> None:
        file = process.files[number]
        if file.mapped:
            return
        prefix = self.kernel.shown_root
        if file.deleted and file.shown == file.node.path:
            prefix += f"/.machine/{GONE}"
        elif file.shown != file.node.path or file.node.block:  # what /dev shows for a disk is not its node
            prefix += f"/.machine/{NAMESPACES}/{process.pid}"
            self._show_foreign(process, file)
        target = f"{prefix}{file.shown}{' (deleted)' if file.deleted else ''}"
        process.fd.drop(str(number))
        process.fd.add(str(number), Link(target))

    def _show_foreign(self, process: Process, file: OpenFile) -> None:
        directory, _, name = file.shown.rpartition("/")
        place = self.kernel.root.directory(f"{NAMESPACES}/{process.pid}{directory}")
        place.add(name + (" (deleted)" if file.deleted else ""), file.node.look())

    def node_removed(self, node: DeviceNode) -> None:
        """Mark the open files of a node that has gone."""
        for process in self.by_pid.values():
            for number, file in process.files.items():
                if file.node == node and not file.deleted:
                    file.deleted = True
                    self._show_fd(process, number)

    def references(self, module: str) -> int:
        """How often a module is held by open files, deleted nodes included."""
        return sum(file.node.module == module for process in self.by_pid.values() for file in process.files.values())

    def holders_of(self, address: str, *, live_only: bool = False) -> tuple[int, ...]:
        """The pids that have a node of the function open."""
        return tuple(
            process.pid for process in self.by_pid.values()
            if any(file.node.address == address and not (live_only and file.deleted)
                   for file in process.files.values())
        )  # fmt: skip

    def held_numbers(self) -> set[int]:
        """Device numbers that open files still keep."""
        return {file.node.rdev for process in self.by_pid.values() for file in process.files.values()}

    # /proc/PID

    def _fill(self, process: Process) -> None:
        spec, directory = process.spec, process.directory
        directory.uid = spec.uid
        comm = spec.comm[:15]
        cmdline = "\0".join(spec.cmdline or (f"/usr/bin/{spec.comm}",)) + "\0"
        directory.add("comm", Constant(comm))
        directory.add("cmdline", Constant(cmdline.encode()))
        directory.add("cgroup", Constant(f"0::{process.cgroup()}"))
        directory.add("stat", Constant(stat_line(process.pid, comm, spec.start_time)))
        directory.add("status", Constant(_status(process.pid, comm, spec.uid)))
        directory.add("maps", Attribute(lambda: self._maps(process)))
        directory.add("exe", Link((spec.cmdline or (f"/usr/bin/{spec.comm}",))[0]))
        process.fd.mode = (process.fd.mode & ~0o777) | (0o500 if self.kernel.private else 0o555)
        process.fd.uid = spec.uid
        for index, _ in enumerate(spec.peers):
            process.fd.add(str(FIRST_SOCKET + index), Link(f"socket:[{socket_of(process.pid, index)}]"))
        directory.add("fd", process.fd)

    def _maps(self, process: Process) -> str:
        lines = ["55d0c0a00000-55d0c0a21000 r--p 00000000 fe:01 1312 /usr/bin/" + process.spec.comm]
        for index, file in enumerate(process.files.values()):
            number = f"00:06 {300 + index}"
            start = 0x7F0000000000 + index * 0x100000
            gone = " (deleted)" if file.deleted else ""
            prefix = self.kernel.shown_root if file.shown == file.node.path else ""
            if file.node.path.startswith("/dev/dri") or file.mapped:
                lines.append(f"{start:x}-{start + 4096:x} rw-s 00000000 {number} {prefix}{file.shown}{gone}")
        return "\n".join(lines) + "\n"


def socket_of(pid: int, index: int) -> int:
    """The inode of the socket to the process's peer of that index."""
    return pid * 100 + index


def _container_group(runtime: str, identifier: str) -> str:
    """The scope that the runtime makes through systemd (Docker 24, Podman 4)."""
    tool, _, uid = runtime.partition("@")
    scope = f"{'libpod' if tool == 'podman' else tool}-{identifier}.scope"
    if uid:
        return f"/user.slice/user-{uid}.slice/user@{uid}.service/user.slice/{scope}"
    return f"/machine.slice/{scope}/container" if tool == "podman" else f"/system.slice/{scope}"


def stat_line(pid: int, comm: str, start_time: int) -> str:
    """/proc/PID/stat (proc(5)): the state is field 3, the start time field 22."""
    tail = "1 {pid} {pid} 0 -1 4194560 100 0 0 0 10 5 0 0 20 0 1 0 {start} 100000000 2000 18446744073709551615"
    return f"{pid} ({comm}) S " + tail.format(pid=pid, start=start_time) + " 0" * 27


def _status(pid: int, comm: str, uid: int) -> str:
    ids = "\t".join([str(uid)] * 4)
    return f"Name:\t{comm}\nState:\tS (sleeping)\nTgid:\t{pid}\nPid:\t{pid}\nPPid:\t1\nUid:\t{ids}\nGid:\t{ids}"

