"""The process that works on a hand-off: asked to stop, and ended when it does not. Undoes nothing itself."""

from __future__ import annotations

import os
import select
import signal
from typing import TYPE_CHECKING

from vfioctl.actions.facts import running
from vfioctl.host.processes import STATE, is_alive, start_time, stat_fields
from vfioctl.txn import stops
from vfioctl.wait import until

if TYPE_CHECKING:
    from vfioctl.paths import Paths

KILL_SECONDS = 5.0
STOPPED_SECONDS = 3.0
STOPPED = "Tt"  # by a signal, or by a debugger (proc_pid_stat(5))


class Worker:
    """One process that holds a guest's lock. Its pid may be used again: a pidfd and the start time know which it is."""

    def __init__(self, paths: Paths, uuid: str, pid: int) -> None:
        self.paths = paths
        self.uuid = uuid
        self.pid = pid
        self.began = start_time(paths, pid) or 0
        self.fd = _pidfd(pid)

    def is_gone(self) -> bool:
        """Whether it has ended, or works on the guest no more."""
        return self.has_ended() or not self.has_lock()

    def has_ended(self) -> bool:
        """Whether there is no such process any more."""
        ended = bool(select.select([self.fd], [], [], 0)[0]) if self.fd >= 0 else False
        return ended or not is_alive(self.paths, self.pid, self.began)

    def has_lock(self) -> bool:
        return any((item.uuid, item.pid) == (self.uuid, self.pid) for item in running(self.paths))

    def is_stopped(self) -> bool:
        """Whether it is stopped, so that it answers no SIGTERM."""
        fields = stat_fields(self.paths, self.pid)
        return fields is not None and fields[STATE] in STOPPED

    def ask(self) -> None:
        """Ask it to stop what it does; a process that does more than that listens to a file instead of SIGTERM."""
        if self.is_shared():
            stops.ask(self.paths, self.uuid)
        else:
            self.send(signal.SIGTERM)

    def is_shared(self) -> bool:
        """Whether it does more than this, and must not be ended for it."""
        return stops.listens(self.paths, self.uuid, self.pid)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal unless it is gone; never to another process of its pid."""
        if self.is_gone():
            return
        try:
            if self.fd >= 0:
                signal.pidfd_send_signal(self.fd, number)
            else:
                os.kill(self.pid, number)
        except ProcessLookupError:
            return  # it ended at this moment

    def end(self, seconds: float) -> str:
        """End it: it gets `seconds` to undo its work, then it is killed. How it ended: "stopped", "killed" or "stays".

        One that does more than this is not killed: it "goes on".

        A process that is stopped would never see that it is to stop: whoever has stopped it gets a moment to go on with
        it, then it is continued here.
        """
        self.ask()
        moment = min(STOPPED_SECONDS, seconds)
        if until(self.is_gone, moment) or until(self._goes, seconds - moment):
            return "stopped"
        if self.is_shared():
            return "goes on"
        self.send(signal.SIGKILL)
        self.send(signal.SIGCONT)
        return "killed" if until(self.is_gone, KILL_SECONDS) else "stays"

    def _goes(self) -> bool:
        if self.is_stopped():
            self.send(signal.SIGCONT)
        return self.is_gone()

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)


def _pidfd(pid: int) -> int:
    """A descriptor of the process itself, -1 where there is none (Linux before 5.3, a sandbox)."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        return -1


def of(paths: Paths, uuid: str) -> Worker | None:
    """The process that works on the guest `uuid` now. It is looked for once more when it is held: see the class."""
    for item in running(paths):
        if item.uuid == uuid:
            worker = Worker(paths, uuid, item.pid)
            if worker.has_lock():
                return worker
            worker.close()
    return None
