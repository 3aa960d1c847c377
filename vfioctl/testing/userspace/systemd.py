"""The simulated systemd: units of the system and of user managers, transient units, and their processes.

Copied from systemd 252 (Debian 12): a display manager stays `active` without any card; a start over the limit needs
reset-failed; names without suffix mean services; aliases resolve to the real unit; a start waits for a stop that runs.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from vfioctl.testing.kernel.nodes import Wait
from vfioctl.testing.model import FakeSession, FakeUnit

if TYPE_CHECKING:
    from vfioctl.testing.kernel.core import Kernel
    from vfioctl.testing.userspace.containers import Containers

DAEMONS = ("docker.service", "snap.docker.dockerd.service")
SUFFIXES = (".service", ".socket", ".target", ".timer", ".scope", ".slice", ".path", ".mount")


class UnitError(Exception):
    """What systemctl prints, and its exit status."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class Unit:
    """A unit now. `command` is a transient one's: a real process, started at `due` when that is set."""

    spec: FakeUnit
    active_state: str
    starts: int = 0
    command: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    due: float | None = None
    every: float | None = None
    only_if: str = ""  # ConditionPathExists
    transient: bool = False
    pid: int = 0
    kill_group: bool = True  # KillMode=control-group; False: process

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def timer(self) -> str:
        """The name of the timer that starts it."""
        return f"{self.name.rpartition('.')[0]}.timer"

    @property
    def is_active(self) -> bool:
        return self.active_state == "active"


Key = tuple["int | None", str]


class Systemd:
    def __init__(self, kernel: Kernel, spawn: Callable[[Unit], int], containers: Containers | None = None) -> None:
        self.kernel = kernel
        self.spawn = spawn
        self.containers = containers
        self.units: dict[Key, Unit] = {}
        self.sessions: dict[str, FakeSession] = {session.id: session for session in kernel.spec.sessions}
        self.inhibitors: dict[int, dict[str, str]] = {}
        self.log_names: list[str] = []  # of the transient units that there ever were
        for spec in kernel.spec.units:
            self.units[spec.uid, spec.name] = Unit(spec, "active" if spec.active else "inactive")

    # Finding

    def find(self, name: str, uid: int | None) -> Unit | None:
        """The unit called `name`, or whose alias it is, of the system or of the manager of `uid`."""
        full = name if name.endswith(SUFFIXES) else f"{name}.service"
        if unit := self.units.get((uid, full)):
            return unit
        owner_of = full.removeprefix("user@").removesuffix(".service")
        if uid is None and full.startswith("user@") and owner_of.isdecimal():
            return Unit(FakeUnit(full), "active" if self.has_manager(int(owner_of)) else "inactive")
        own = (unit for (owner, _), unit in self.units.items() if owner == uid)
        return next((unit for unit in own if full in unit.spec.aliases), None)

    def has_manager(self, uid: int) -> bool:
        """Whether that user's manager runs."""
        return any(session.uid == uid for session in self.sessions.values()) or any(
            owner == uid and unit.is_active for (owner, _), unit in self.units.items())

    def processes_of(self, unit: Unit) -> tuple[int, ...]:
        spec = unit.spec
        if spec.uid is None:
            found = self.kernel.processes.where(unit=spec.name)
        else:
            found = self.kernel.processes.where(user_unit=spec.name, uid=spec.uid)
        return tuple(process.pid for process in found)

    def main_pid(self, unit: Unit) -> int:
        return unit.pid or next(iter(self.processes_of(unit)), 0) if unit.is_active else 0

    # Starting

    def start(self, unit: Unit) -> None:
        """Start `unit`; what it brings comes with it. Raises UnitError."""
        if unit.is_active:
            return
        if unit.active_state == "deactivating" and _is_stubborn(unit):  # service_start() says "again later"
            self._wait_for_stop(unit, "start")
        limit = unit.spec.start_limit
        if unit.spec.start_fails or (limit is not None and unit.starts >= limit):
            unit.active_state = "failed"
            raise UnitError(
                f"Job for {unit.name} failed because the control process exited with error code.\n"
                f"See \"systemctl status {unit.name}\" and \"journalctl -xeu {unit.name}\" for details.")
        unit.starts += 1
        unit.active_state = "active"
        unit.spec = replace(unit.spec, job="")
        for process in unit.spec.brings:
            self.kernel.processes.restart(process)
        for session in unit.spec.sessions:
            self._open_session(session)
        if self.containers and unit.name in DAEMONS and unit.spec.uid is None:
            self.containers.daemon_starts()

    def _open_session(self, session: FakeSession) -> None:
        """A session of a fresh display manager: its processes are those of the unit with that session's id."""
        if not any(process.spec.session == session.id for process in self.kernel.processes.by_pid.values()):
            return  # nothing could start: no card
        leader = next(iter(self.kernel.processes.where(session=session.id))).pid
        self.sessions[session.id] = replace(session, leader=leader)

    # Stopping

    def stop(self, unit: Unit) -> None:
        """Stop `unit`: its processes and the sessions that live on it end. May raise Wait."""
        if _is_stubborn(unit):
            self._wait_for_stop(unit, "stop")
        unit.active_state = "inactive"
        unit.due = unit.every = None
        if self.containers and unit.name in DAEMONS and unit.spec.uid is None:
            self.containers.daemon_stops(unit.name)
        for pid in self.processes_of(unit):
            self.kernel.processes.end(pid)
        for session in tuple(self.sessions.values()):
            if unit.name in session.ends_with:
                self.end_session(session.id)
        for other in tuple(self.units.values()):
            if unit.name in other.spec.part_of and other.is_active and other.spec.uid == unit.spec.uid:
                self.stop(other)
        self.kernel.pump()
        if unit.command:
            self._end_transient(unit)

    def restart(self, unit: Unit) -> None:
        """Stop and start `unit`. May raise Wait, and UnitError."""
        if _is_stubborn(unit):
            self._wait_for_stop(unit, "restart")
        self.stop(unit)
        self.start(unit)

    def _wait_for_stop(self, unit: Unit, job: str) -> None:
        """Wait with `job` for the end of a stop that may never come; a later job takes its place."""
        unit.active_state = "deactivating"
        unit.spec = replace(unit.spec, job=job)

        def resume() -> str:
            if unit.spec.job not in ("", job):
                return f"echo 'Job for {unit.name} canceled.' >&2; exit 1\n"
            return "exit 0\n" if job == "stop" or unit.is_active else "exit 1\n"

        raise Wait(lambda: unit.spec.job != job, resume, owner=unit.name, deaf=False)

    def kill(self, unit: Unit) -> None:
        """SIGKILL to the whole control group: a stop that hangs has ended, and what was queued follows."""
        if unit.spec.stop_hangs:  # in the kernel, deaf to every signal
            return
        for pid in self.processes_of(unit):
            self.kernel.processes.end(pid)
        if unit.active_state == "deactivating":
            self._end_stop(unit, "failed")

    def _end_stop(self, unit: Unit, state: str) -> None:
        unit.spec = replace(unit.spec, ignores_term=False, stop_waits=False)
        self.stop(unit)
        unit.active_state = state
        if unit.spec.job in ("start", "restart"):
            with suppress(UnitError):  # who waits for it sees that
                self.start(unit)
        unit.spec = replace(unit.spec, job="")
        self.kernel.pump()

    def _end_transient(self, unit: Unit) -> None:
        pid, unit.pid = unit.pid, 0
        self.units.pop((unit.spec.uid, unit.name), None)
        self.units.pop((unit.spec.uid, unit.timer), None)
        if pid:
            _signal(pid, signal.SIGTERM, group=unit.kill_group)
            raise Wait(lambda: not is_running(pid), lambda: "exit 0\n", owner=unit.name)

    def end_session(self, session_id: str) -> None:
        """End a session with every process in its scope."""
        session = self.sessions.pop(session_id)
        for process in self.kernel.processes.where(session=session_id):
            self.kernel.processes.end(process.pid)
        for unit in tuple(self.units.values()):
            waits = unit.spec.stop_waits and unit.active_state == "deactivating"
            if waits and unit.name in session.ends_with:
                self._end_stop(unit, "inactive")

    # Transient units

    def run_transient(self, unit: Unit) -> None:
        """Take `unit` in, and start it now or when it is due. Raises UnitError."""
        if (unit.spec.uid, unit.name) in self.units:
            raise UnitError(
                f"Failed to start transient service unit: Unit {unit.name} was already loaded or has a fragment file.")
        self.units[unit.spec.uid, unit.name] = unit
        if unit.due is None:
            self._spawn(unit)
        else:
            timer = FakeUnit(unit.timer, uid=unit.spec.uid)
            self.units[unit.spec.uid, timer.name] = Unit(timer, "active", transient=True)

    def _elapse(self, key: Key, unit: Unit) -> None:
        """A service whose condition does not hold is not started, and collected."""
        if not unit.only_if or os.path.exists(unit.only_if):
            self._spawn(unit)
        else:
            self._ended(key, unit)

    def _spawn(self, unit: Unit) -> None:
        unit.due = None
        unit.pid = self.spawn(unit)
        unit.active_state = "active"
        self.kernel.proc.cgroups[unit.pid] = f"/system.slice/{unit.name}"

    def tick(self) -> None:
        """Start what is due, and collect what has ended."""
        now = time.monotonic()
        for key, unit in tuple(self.units.items()):
            if unit.due is not None and unit.due <= now:
                self._elapse(key, unit)
            elif unit.command and unit.pid and not is_running(unit.pid):
                self._ended(key, unit)

    def _ended(self, key: Key, unit: Unit) -> None:
        self.kernel.proc.cgroups.pop(unit.pid, None)
        unit.pid = 0
        if unit.every is None:
            del self.units[key]
            self.units.pop((unit.spec.uid, unit.timer), None)
        else:
            unit.due = time.monotonic() + unit.every
            unit.active_state = "inactive"

    def waits_for(self) -> float | None:
        """Seconds until the next look is worth while; None when nothing runs."""
        if any(unit.pid for unit in self.units.values()) or any(
                blocked.wait.owner.endswith(SUFFIXES) for blocked in self.kernel.blocked):
            return 0.02
        due = [unit.due for unit in self.units.values() if unit.due is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def live_inhibitors(self) -> list[dict[str, str]]:
        """The inhibitors whose process still runs."""
        self.inhibitors = {pid: one for pid, one in self.inhibitors.items() if os.path.isdir(f"/proc/{pid}")}
        return list(self.inhibitors.values())

    def end_all(self) -> None:
        """Kill every real process that runs as a transient unit: the machine goes down."""
        for unit in self.units.values():
            if unit.pid:
                _signal(unit.pid, signal.SIGKILL)


def _is_stubborn(unit: Unit) -> bool:
    """Whether it runs and its stop does not end by itself."""
    deaf = unit.spec.stop_hangs or unit.spec.ignores_term or unit.spec.stop_waits
    return deaf and unit.active_state not in ("inactive", "failed")


def _signal(pid: int, number: int, *, group: bool = True) -> None:
    try:
        (os.killpg if group else os.kill)(pid, number)
    except ProcessLookupError:
        return


def is_running(pid: int) -> bool:
    """Whether our child `pid` still runs; reaps it when it has ended."""
    try:
        return os.waitpid(pid, os.WNOHANG) == (0, 0)
    except ChildProcessError:
        return False
