"""A whole simulated machine: the kernel, its user space, and the door through which programs and tests talk to it."""

from __future__ import annotations

import fnmatch
import os
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any

from vfioctl.testing.kernel.core import Answer, Kernel
from vfioctl.testing.kernel.nodes import Conversation, Directory, Disk, Node, Root, Wait
from vfioctl.testing.model import MachineSpec
from vfioctl.testing.userspace import kmod
from vfioctl.testing.userspace.answers import HANGS, Reply
from vfioctl.testing.userspace.busctl import busctl
from vfioctl.testing.userspace.containers import Containers, client
from vfioctl.testing.userspace.loginctl import loginctl
from vfioctl.testing.userspace.requests import Requests
from vfioctl.testing.userspace.systemctl import systemctl
from vfioctl.testing.userspace.systemd import Systemd, Unit
from vfioctl.testing.userspace.transient import systemd_inhibit, systemd_run

NOT_FOUND = 127


class Machine:
    """Kernel and user space. `forget` tells the host's kernel that a name which it remembers has changed."""

    def __init__(
        self, spec: MachineSpec, root: str, *, forget: Callable[[Directory, str], None], spawn: Callable[[Unit], int]
    ) -> None:
        self.shown_root = root
        self.spawn = spawn
        self.stopping = False
        self.root: Directory = Root(forget)
        self.kernel = Kernel(spec, self.shown_root)
        self.containers = Containers(self.kernel)
        self.systemd = Systemd(self.kernel, self.spawn, self.containers)
        self.requests = Requests(self)
        self._show()
        kit = self.root.directory("kit")
        kit.add("call", Conversation(self.call, by_process=True))
        kit.add("control", Conversation(lambda said, _pid: self.requests.answer(said)))

    def boot(self, spec: MachineSpec) -> None:
        """Make the machine anew, as after a power cut."""
        self.systemd.end_all()
        self.kernel = Kernel(spec, self.shown_root)
        self.containers = Containers(self.kernel)
        self.systemd = Systemd(self.kernel, self.spawn, self.containers)
        self.requests = Requests(self)
        self._show()

    def _show(self) -> None:
        for name in ("sys", "proc", "dev"):
            self.root.add(name, self.kernel.root.children[name])
        for name in ("ns", "gone"):
            self.root.add(name, self.kernel.root.directory(name))

    # What the file system asks

    def store(self, node: Node, text: str, pid: int, answer: Callable[[int], None]) -> None:
        self.kernel.store(node, text, pid, answer)

    def show(self, node: Node, pid: int, answer: Answer) -> None:
        self.kernel.show(node, pid, answer)

    def open_disk(self, node: Disk, *, exclusive: bool, pid: int, answer: Callable[[int], None]) -> None:
        self.kernel.open_disk(node, exclusive=exclusive, pid=pid, answer=answer)

    def converse(self, node: Conversation, said: bytes, pid: int, answer: Answer) -> None:
        self.kernel.converse(node, said, pid, answer)

    def interrupt(self, pid: int) -> None:
        self.kernel.interrupt(pid)

    # Programs

    def call(self, said: bytes, _pid: int) -> str:
        """Answer a program's stub: NUL-separated name, pid and arguments; the answer is sh."""
        name, pid, *argv = said.decode(errors="surrogateescape").rstrip("\0").split("\0")
        record: dict[str, Any] = {"argv": [name, *argv], "pid": int(pid), "time": time.monotonic(), "status": None}
        self.kernel.log.calls.append(record)
        reply = self._injected(name, argv) or self._program(name, argv, int(pid))
        record["status"] = reply.status
        return reply.as_sh()

    def _injected(self, name: str, argv: Sequence[str]) -> Reply | None:
        line = " ".join(argv)
        for fault in self.kernel.faults.active:
            if fault.operation == "call" and fault.path == name and fault.count and fnmatch.fnmatchcase(
                    line, fault.value or "*"):
                if fault.skip:
                    fault.skip -= 1
                    return None
                fault.count -= fault.count > 0
                return Reply(err=f"{name}: injected failure\n", status=fault.errno) if fault.errno else HANGS
        return None

    def _program(self, name: str, argv: Sequence[str], pid: int) -> Reply:
        simple = {"modprobe": kmod.modprobe, "rmmod": kmod.rmmod, "lsmod": kmod.lsmod, "modinfo": kmod.modinfo}
        if name in simple:
            return simple[name](self.kernel, argv)
        managed = {"systemctl": systemctl, "loginctl": loginctl, "systemd-run": systemd_run, "busctl": busctl}
        if name in managed:
            return managed[name](self.kernel, self.systemd, argv)
        if name == "systemd-inhibit":
            return systemd_inhibit(self.kernel, self.systemd, argv, pid)
        if name in CONTAINER_TOOLS:
            return client(self.systemd, self.containers, name, argv)
        if name == "runuser":
            return self._runuser(argv)
        if name == "kill":
            return self._kill(argv)
        if name == "udevadm":
            return self._udevadm(argv)
        return Reply() if name in QUIET else Reply(err=f"{name}: command not found\n", status=NOT_FOUND)

    def _runuser(self, argv: Sequence[str]) -> Reply:
        """`runuser -u USER -- env NAME=VALUE… PROGRAM …`, of a container's tool."""
        user, words = argv[1], [word for word in argv[3:] if word != "env" and "=" not in word.split("/", 1)[0]]
        uid = next((int(uid) for uid, name in self.kernel.spec.users if name == user), None)
        if uid is None:
            return Reply(err=f"runuser: user {user} does not exist or the user entry does not contain all the "
                             "required fields\n", status=1)  # fmt: skip
        return client(self.systemd, self.containers, words[0], words[1:], uid)

    def _kill(self, argv: Sequence[str]) -> Reply:
        words = [word for word in argv if word not in ("--", "-s")]
        named = not words[0].isdecimal()
        text = words.pop(0).removeprefix("-").removeprefix("SIG") if named else "TERM"
        number = int(text) if text.isdecimal() else signal.Signals[f"SIG{text}"]
        for pid in map(int, words):
            if not self.signal(pid, number):
                return Reply(err=f"kill: ({pid}): No such process\n", status=1)
        return Reply()

    def signal(self, pid: int, number: int) -> bool:
        """Send a signal to a simulated or a real process; False when there is none."""
        process = self.kernel.processes.by_pid.get(pid)
        if process is None:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                return False
            return True
        ends = number == signal.SIGKILL or (number == signal.SIGTERM and not process.spec.ignores_term)
        return self.kernel.processes.end(pid) if ends else True

    def _udevadm(self, argv: Sequence[str]) -> Reply:
        """`udevadm info` reads uevent, so it hangs on a device whose lock is held."""
        locked = [device for device in self.kernel.pci.devices.values() if device.locked]
        asked = [device for device in locked if any(device.address in word for word in argv)]
        if argv[:1] == ["info"] and asked:
            raise Wait(lambda: not asked[0].locked, Reply().as_sh, owner=asked[0].address)
        return Reply()


CONTAINER_TOOLS = ("docker", "podman")
QUIET = ("udevadm", "wall", "chvt", "logger", "notify-send", "setupcon", "restorecon", "getenforce")
