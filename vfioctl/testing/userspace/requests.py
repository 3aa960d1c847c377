"""What a test may ask of the machine while it runs, as JSON: faults, events from outside, and looks at the log."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from vfioctl.testing.kernel.faults import Fault
from vfioctl.testing.model import FakeProcess, FakeSession, MachineSpec, build

if TYPE_CHECKING:
    from vfioctl.testing.kernel.core import Kernel
    from vfioctl.testing.userspace.machine import Machine


class Requests:
    """One method a request; its keyword arguments are the request's fields. See control.py for what they mean."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.kernel: Kernel = machine.kernel

    def answer(self, said: bytes) -> str:
        """Do one request; an unknown one or a wrong field is said, not raised."""
        request = json.loads(said)
        method = getattr(self, "do_" + request.pop("do"), None)
        if method is None:
            return json.dumps({"error": "unknown request"})
        try:
            return json.dumps({"result": method(**request)})
        except (KeyError, TypeError, ValueError, LookupError) as error:
            return json.dumps({"error": f"{type(error).__name__}: {error}"})

    # Faults

    def do_inject(self, **fields: Any) -> None:
        self.kernel.faults.add(Fault(**fields))

    def do_release(self) -> None:
        self.kernel.faults.release()

    def do_blocked(self) -> list[dict[str, Any]]:
        return [{"what": one.what, "pid": one.pid, "owner": one.wait.owner} for one in self.kernel.blocked]

    def do_finish_removal(self, address: str) -> None:
        """A remove() that waits for ever ends."""
        device = self.kernel.pci.devices[address]
        for blocked in self.kernel.blocked:
            if blocked.wait.owner == address and device.locked:
                blocked.wait.ready = lambda: True
                return

    def do_leak(self, module: str, count: int) -> None:
        self.kernel.modules.known[module] = replace(self.kernel.modules.known[module], leaked=count)

    def do_set_options(self, module: str, options: dict[str, str]) -> None:
        spec = self.kernel.modules.known[module]
        parameters = tuple({**dict(spec.parameters), **options}.items())
        self.kernel.modules.known[module] = replace(spec, parameters=parameters)

    # Events

    def do_boot(self, spec: dict[str, Any] | None = None) -> None:
        self.machine.boot(build(MachineSpec, spec) if spec else self.kernel.spec)

    def do_disappear(self, address: str) -> None:
        self.kernel.pci.disappear(address)

    def do_mount(self, name: str, place: str) -> None:
        self.kernel.disks.mount(name, place)

    def do_add_process(self, **fields: Any) -> int:
        process = self.kernel.processes.start(build(FakeProcess, fields))
        return process.pid if process else 0

    def do_end_process(self, pid: int) -> bool:
        return self.kernel.processes.end(pid)

    def do_place(self, pid: int, cgroup: str) -> None:
        self.kernel.proc.cgroups[pid] = cgroup

    def do_list_namespace(self, namespace: str) -> None:
        self.kernel.proc.namespaces.add(namespace)

    def do_open(self, pid: int, path: str) -> None:
        self.kernel.processes.open(self.kernel.processes.by_pid[pid], path)

    def do_close(self, pid: int, path: str) -> None:
        self.kernel.processes.close(self.kernel.processes.by_pid[pid], path)

    def do_add_session(self, **fields: Any) -> None:
        session = build(FakeSession, fields)
        self.machine.systemd.sessions[session.id] = session

    def do_end_session(self, session: str) -> None:
        self.machine.systemd.end_session(session)

    def do_set_unit(self, name: str, uid: int | None = None, **changes: Any) -> None:
        unit = self.machine.systemd.units[uid, name]
        if "active_state" in changes:
            unit.active_state = changes.pop("active_state")
        unit.spec = replace(unit.spec, **changes)

    # Looks

    def do_writes(self) -> list[dict[str, Any]]:
        return self.kernel.log.writes

    def do_calls(self) -> list[dict[str, Any]]:
        return self.kernel.log.calls

    def do_clear_log(self) -> None:
        self.kernel.log.writes.clear()
        self.kernel.log.calls.clear()

    def do_units(self) -> dict[str, Any]:
        return {
            f"{'system' if uid is None else uid}/{name}": {
                "active": unit.active_state, "starts": unit.starts, "pid": unit.pid, "transient": unit.transient,
            } for (uid, name), unit in self.machine.systemd.units.items()
        }  # fmt: skip

    def do_sessions(self) -> dict[str, Any]:
        return {name: asdict(session) for name, session in self.machine.systemd.sessions.items()}

    def do_inhibitors(self) -> list[dict[str, str]]:
        return self.machine.systemd.live_inhibitors()

    def do_processes(self) -> list[dict[str, Any]]:
        return [
            {"pid": one.pid, "comm": one.spec.comm, "start_time": one.spec.start_time,
             "cgroup": one.cgroup(), "paused": one.paused,
             "files": [file.shown + (" (deleted)" if file.deleted else "") for file in one.files.values()]}
            for one in self.kernel.processes.by_pid.values()
        ]  # fmt: skip

    def do_modules(self) -> dict[str, int]:
        return {name: self.kernel.modules.refcount(name) for name in self.kernel.modules.loaded}

    def do_shutdown(self) -> None:
        self.machine.stopping = True
