"""Talking to a running simulated machine from any process: faults, events from outside, and looks at its log."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import asdict
from typing import Any, cast

from vfioctl.testing import programs
from vfioctl.testing.model import FakeProcess, FakeSession, MachineSpec

EVER = -1


class Control:
    """The machine below `root`. Every method asks the serving process and returns when it has been done."""

    def __init__(self, root: str) -> None:
        self.root = root

    def ask(self, do: str, **fields: Any) -> Any:
        """One request. Raises LookupError with what the machine says when it cannot be done."""
        fd = os.open(os.path.join(self.root, ".machine/kit/control"), os.O_RDWR | os.O_CLOEXEC)
        try:
            os.write(fd, json.dumps({"do": do, **fields}).encode())
            answer = b""
            while part := os.read(fd, 65536):
                answer += part
        finally:
            os.close(fd)
        said = json.loads(answer)
        if "error" in said:
            raise LookupError(said["error"])
        return said["result"]

    # Faults. `count` times (EVER: always), after `skip` that pass.

    def fail_write(self, path: str, error: int = errno.EBUSY, *, value: str | None = None, count: int = 1,
                   skip: int = 0) -> None:  # fmt: skip
        """Writes to the sysfs file `path` ("/sys/…") give `error`; only those of `value` when it is given."""
        self.ask("inject", operation="write", path=path, errno=error, value=value, count=count, skip=skip)

    def fail_read(self, path: str, error: int = errno.EIO, *, count: int = 1, skip: int = 0) -> None:
        self.ask("inject", operation="read", path=path, errno=error, count=count, skip=skip)

    def fail_probe(self, address: str, driver: str, *, count: int = EVER) -> None:
        """`driver` does not bind `address`; drivers_probe says success all the same."""
        self.ask("inject", operation="probe", path=address, value=driver, errno=errno.ENODEV, count=count)

    def fail_module(self, module: str, operation: str = "load", error: int = errno.EIO, *, count: int = 1) -> None:
        """Loading ("load") or unloading ("unload") the module gives an error."""
        self.ask("inject", operation=operation, path=module, errno=error, count=count)

    def fail_program(self, name: str, status: int = 1, *, arguments: str | None = None, count: int = 1,
                     skip: int = 0) -> None:  # fmt: skip
        """Calls of the program end with `status`; `arguments` is a pattern over the joined arguments."""
        self.ask("inject", operation="call", path=name, errno=status, value=arguments, count=count, skip=skip)

    def hang_program(self, name: str, *, arguments: str | None = None, count: int = 1, skip: int = 0) -> None:
        """Calls of the program do not end by themselves; SIGKILL ends them."""
        self.ask("inject", operation="call", path=name, value=arguments, count=count, skip=skip)

    def hang_write(self, path: str, *, value: str | None = None, count: int = 1) -> None:
        """Writes to `path` wait in the kernel, deaf to SIGKILL, until `release`; then they land."""
        self.ask("inject", operation="write", path=path, value=value, count=count)

    def hang_read(self, path: str, *, count: int = 1) -> None:
        self.ask("inject", operation="read", path=path, count=count)

    def fail_open(self, path: str, error: int = errno.EACCES, *, count: int = EVER) -> None:
        """The simulated disk at `path` ("/dev/…") cannot be opened."""
        self.ask("inject", operation="open", path=path, errno=error, count=count)

    def hang_open(self, path: str, *, count: int = EVER) -> None:
        """Whoever opens the disk at `path` waits in the kernel until `release`, as with a drive that hangs."""
        self.ask("inject", operation="open", path=path, count=count)

    def release(self) -> None:
        """End every injected hang and forget the faults that are left."""
        self.ask("release")

    def finish_removal(self, address: str) -> None:
        """Let a driver's remove() on `address` end that would wait for ever."""
        self.ask("finish_removal", address=address)

    def leak(self, module: str, count: int) -> None:
        """Give the module `count` references that nobody holds (0: take them back)."""
        self.ask("leak", module=module, count=count)

    def set_options(self, module: str, **options: str) -> None:
        """Parameters that count from the next load of the module on, as a changed file in modprobe.d does."""
        self.ask("set_options", module=module, options=options)

    def remove_program(self, name: str) -> None:
        programs.remove(self.root, name)

    def restore_program(self, name: str) -> None:
        programs.install_stub(self.root, name)

    # Events from outside

    def boot(self, spec: MachineSpec | None = None) -> None:
        """Make the machine anew (another one when `spec` is given): everything that runs is gone.

        Files below the root stay; removing run/ is the caller's business.
        """
        self.ask("boot", spec=asdict(spec) if spec else None)

    def disappear(self, address: str) -> None:
        """The function falls off the bus."""
        self.ask("disappear", address=address)

    def mount(self, name: str, place: str) -> None:
        """Mount the file system of the block device `name` ("nvme1n1p1") on `place`."""
        self.ask("mount", name=name, place=place)

    def unmount(self, name: str) -> None:
        self.ask("mount", name=name, place="")

    def add_process(self, process: FakeProcess) -> int:
        """Start a process and return its pid; 0 when what it requires is not there."""
        return int(self.ask("add_process", **asdict(process)))

    def end_process(self, pid: int) -> None:
        self.ask("end_process", pid=pid)

    def place(self, pid: int, cgroup: str) -> None:
        """Let the real process `pid` belong to a control group: "/user.slice/user-1000.slice/session-2.scope"."""
        self.ask("place", pid=pid, cgroup=cgroup)

    def list_namespace(self, namespace: str) -> None:
        """List QEMU and libvirt of the mount namespace ("mnt:[4026532201]", /proc/PID/ns/mnt): a private daemon's."""
        self.ask("list_namespace", namespace=namespace)

    def open(self, pid: int, path: str) -> None:
        """Let the process open the node `path` ("/dev/dri/card0")."""
        self.ask("open", pid=pid, path=path)

    def close(self, pid: int, path: str) -> None:
        self.ask("close", pid=pid, path=path)

    def add_session(self, session: FakeSession) -> None:
        self.ask("add_session", **asdict(session))

    def end_session(self, session: str) -> None:
        self.ask("end_session", session=session)

    def set_unit(self, name: str, *, uid: int | None = None, **changes: Any) -> None:
        """Change fields of a unit's spec while it is there, or its `active_state`."""
        self.ask("set_unit", name=name, uid=uid, **changes)

    # Looks

    def writes(self) -> list[dict[str, Any]]:
        """Every write to a simulated kernel file: path (canonical), value, pid, result (errno or "waiting")."""
        return cast("list[dict[str, Any]]", self.ask("writes"))

    def calls(self) -> list[dict[str, Any]]:
        """Every call of a simulated program: argv, pid, status."""
        return cast("list[dict[str, Any]]", self.ask("calls"))

    def clear_log(self) -> None:
        self.ask("clear_log")

    def blocked(self) -> list[dict[str, Any]]:
        """Who waits in the kernel: what, pid, owner (the device)."""
        return cast("list[dict[str, Any]]", self.ask("blocked"))

    def units(self) -> dict[str, dict[str, Any]]:
        """Units by "system/NAME" or "UID/NAME": active, starts, pid, transient."""
        return cast("dict[str, dict[str, Any]]", self.ask("units"))

    def sessions(self) -> dict[str, dict[str, Any]]:
        return cast("dict[str, dict[str, Any]]", self.ask("sessions"))

    def processes(self) -> list[dict[str, Any]]:
        return cast("list[dict[str, Any]]", self.ask("processes"))

    def modules(self) -> dict[str, int]:
        """The loaded modules with their reference counts."""
        return cast("dict[str, int]", self.ask("modules"))

    def inhibitors(self) -> list[dict[str, str]]:
        return cast("list[dict[str, str]]", self.ask("inhibitors"))
