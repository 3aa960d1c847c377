"""The QEMU process: started, found again after a run that died, and ended, always by its own pid."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess

from tests.lab import commands
from tests.lab.errors import LabError

END = 20.0


class Qemu:
    """One process in a session of its own, that also ends when the runner is killed. Its pid stands in `pidfile`."""

    def __init__(self, argv: list[str], log: str, pidfile: str) -> None:
        self.log = log
        self.pidfile = pidfile
        with open(log, "ab") as output:
            self.child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "nice", "-n", "5", *argv], stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        with open(pidfile, "w", encoding="ascii") as file:
            file.write(f"{self.child.pid} {birth(self.child.pid)}\n")

    def wait(self, deadline: float) -> None:
        """Until it has ended by itself."""
        try:
            self.child.wait(deadline)
        except subprocess.TimeoutExpired:
            raise LabError(f"The machine did not power off within {deadline:.0f} s.") from None

    def why_it_ended(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = self.child.wait(5)
            return f"QEMU ended with status {status}. {commands.tail(self.log, 5)}".strip()
        return "QEMU closed its line, but runs on."

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()
        with contextlib.suppress(FileNotFoundError):
            os.remove(self.pidfile)


def birth(pid: int) -> str:
    """Its start time in ticks, and the boot; "" when it is not there: a pid alone may be another's by now."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            ticks = stat.read().rpartition(")")[2].split()[19]
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as boot:
            return f"{ticks} {boot.read().strip()}"
    except OSError:
        return ""


def end_stale(pidfile: str) -> str:
    """End the QEMU that a dead run left behind, if it is still that process; what was done, for the log."""
    try:
        with open(pidfile, encoding="ascii") as file:
            pid, _, born = file.read().strip().partition(" ")
    except FileNotFoundError:
        return ""
    os.remove(pidfile)
    if not pid.isdigit() or not born or birth(int(pid)) != born:
        return ""
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(pid), signal.SIGKILL)
    return f"Ended QEMU {pid}, which an interrupted run had left behind."
