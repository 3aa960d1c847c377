"""The simulated kernel as a whole: its parts, who waits in it, what was written to it, and injected faults."""

from __future__ import annotations

import errno
import functools
import os
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from vfioctl.testing.kernel.devices import DeviceNodes
from vfioctl.testing.kernel.disks import Disks
from vfioctl.testing.kernel.faults import Faults
from vfioctl.testing.kernel.graphics import Graphics
from vfioctl.testing.kernel.modules import Modules
from vfioctl.testing.kernel.nodes import Attribute, Conversation, Directory, Disk, Node, Wait
from vfioctl.testing.kernel.pci import Pci
from vfioctl.testing.kernel.processes import Processes
from vfioctl.testing.kernel.procfs import Proc, fill_proc
from vfioctl.testing.kernel.resources import fill_resources
from vfioctl.testing.kernel.settings import fill_settings
from vfioctl.testing.model import MachineSpec

Answer = Callable[["bytes | int"], None]


@dataclass(slots=True)
class Blocked:
    """A caller that waits in the kernel."""

    wait: Wait
    answer: Callable[[str | int], None]
    what: str
    pid: int


@dataclass(slots=True)
class Log:
    """What the machine was asked, for tests: writes and program calls, in order."""

    writes: list[dict[str, Any]] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)


class Kernel:
    """One simulated machine. `root` is the path under which the tree is shown, for links to device nodes."""

    def __init__(self, spec: MachineSpec, shown_root: str) -> None:
        self.spec = spec
        self.shown_root = shown_root.rstrip("/")
        self.root = Directory()
        self.log = Log()
        self.blocked: list[Blocked] = []
        self.private = os.getuid() == 0  # an ordinary user who plays root must be able to read everything
        self.sys = self.root.directory("sys")
        self.proc = Proc(self)
        self.root.add("proc", self.proc)
        self.faults = Faults(self)
        self.nodes = DeviceNodes(self)
        self.processes = Processes(self)
        self.graphics = Graphics(self)
        self.modules = Modules(self)
        self.pci = Pci(self)
        self.disks = Disks(self)
        fill_proc(self)
        fill_resources(self)
        fill_settings(self)
        self.pci.populate()
        self.modules.populate()
        self.pci.bind_initial()
        self.disks.populate()
        for process in spec.processes:
            self.processes.start(process)

    # What the file system asks

    def store(self, node: Node, text: str, pid: int, answer: Callable[[int], None]) -> None:
        """Write `text` to `node`; the answer may come much later."""
        record = {"path": node.path, "value": text, "pid": pid, "result": "waiting", "time": time.monotonic()}
        self.log.writes.append(record)

        def done(result: str | int) -> None:
            record["result"] = result if isinstance(result, int) else 0
            answer(result if isinstance(result, int) else 0)

        def work() -> None:
            if not isinstance(node, Attribute) or node.store is None:
                raise PermissionError(errno.EACCES, "not writable")
            node.store(text)

        gated = functools.partial(self.faults.gate, "write", node.path, text, work)
        self.attempt(gated, done, f"write {node.path}", pid)
        self.pump()

    def show(self, node: Node, pid: int, answer: Answer) -> None:
        """Read `node`; the answer may come much later."""

        def work() -> str:
            if not isinstance(node, Attribute) or node.show is None:
                raise PermissionError(errno.EACCES, "not readable")
            return node.show()

        gated = functools.partial(self.faults.gate, "read", node.path, "", work)
        self.attempt(gated, lambda result: answer(_raw(result)), f"read {node.path}", pid)

    def open_disk(self, node: Disk, *, exclusive: bool, pid: int, answer: Callable[[int], None]) -> None:
        """Open `node`; answer with an errno or 0, now or much later."""

        def work() -> str:
            if exclusive and node.held():
                raise OSError(errno.EBUSY, "held")
            return ""

        gated = functools.partial(self.faults.gate, "open", node.path, "", work)
        self.attempt(gated, lambda result: answer(result if isinstance(result, int) else 0), f"open {node.path}", pid)

    def converse(self, node: Conversation, said: bytes, pid: int, answer: Answer) -> None:
        """Let a program or the test talk to the machine."""
        self.attempt(lambda: node.answer(said, pid), lambda result: answer(_raw(result)), "call", pid)
        self.pump()

    # Waiting

    def attempt(
        self, work: Callable[[], str | None], answer: Callable[[str | int], None], what: str, pid: int
    ) -> None:
        """Do `work` and answer, or keep the caller waiting."""
        try:
            result = work()
        except Wait as wait:
            self.blocked.append(Blocked(wait, answer, what, pid))
        except OSError as error:
            answer(error.errno or errno.EIO)
        except Exception:  # noqa: BLE001 -- a defect of the kit must not take the mount away
            traceback.print_exc()
            answer(errno.EIO)
        else:
            answer(result or "")

    def interrupt(self, pid: int) -> None:
        """Let the program `pid` go that a signal came for, unless it waits for a device."""
        for waiting in self.blocked:
            if waiting.pid == pid and not waiting.wait.deaf:
                self.blocked.remove(waiting)
                waiting.answer(errno.EINTR)
                return

    def pump(self) -> None:
        """Let everyone go on whose condition has come true, first come first served."""
        while ready := next((waiting for waiting in self.blocked if waiting.wait.ready()), None):
            self.blocked.remove(ready)
            self.attempt(ready.wait.resume, ready.answer, ready.what, ready.pid)


def _raw(result: str | int) -> bytes | int:
    return result if isinstance(result, int) else result.encode(errors="surrogateescape")
