"""Injected faults: an errno, or a wait that ignores SIGKILL, for a path, so many times."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vfioctl.testing.kernel.nodes import Wait, resolve

if TYPE_CHECKING:
    from vfioctl.testing.kernel.core import Kernel

FOREVER = -1


@dataclass(slots=True)
class Fault:
    """`operation` on `path` gives `errno` (0: it hangs until released) `count` times, after `skip` that pass.

    `operation`: write, read, open, probe (path is the device, value the driver) or call (path is the program).
    `value`: only for this text.
    """

    operation: str
    path: str
    errno: int = 0
    count: int = 1
    skip: int = 0
    value: str | None = None
    released: bool = False

    def matches(self, operation: str, path: str, value: str) -> bool:
        return (
            self.operation == operation and self.path == path and self.count != 0
            and (self.value is None or self.value.strip() == value.strip())
        )  # fmt: skip


class Faults:
    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.active: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Inject `fault`; its path may go through links."""
        if fault.operation in ("read", "write", "open"):
            fault.path = resolve(self.kernel.root, fault.path)
        self.active.append(fault)

    def take(self, operation: str, path: str, value: str) -> Fault | None:
        """The fault that this operation meets now; it is used up by one."""
        for fault in self.active:
            if not fault.matches(operation, path, value):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                return None
            if fault.count > 0:
                fault.count -= 1
            return fault
        return None

    def gate(self, operation: str, path: str, value: str, work: Callable[[], str | None]) -> str | None:
        """Do `work`, unless a fault is in its way: then raise OSError, or Wait, after which the work is done."""
        if self.active and (fault := self.take(operation, path, value)):
            if fault.errno:
                raise OSError(fault.errno, os.strerror(fault.errno))
            raise Wait(lambda: fault.released, work, owner=path)
        return work()

    def release(self) -> None:
        """Let every injected hang end, and forget the faults that are left."""
        for fault in self.active:
            fault.released = True
        self.active.clear()
