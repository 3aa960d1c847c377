"""Follows what a command line of ours says that runs apart from the user's session, in a transient system unit.

The terminal may end with the session that the command ends; the unit goes on. Decides nothing about what is run.
"""

from __future__ import annotations

import codecs
import os
import shutil
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from vfioctl import files
from vfioctl.errors import DeadlineExceeded, VfioctlError
from vfioctl.host import cgroups, units
from vfioctl.host.processes import is_alive, start_time
from vfioctl.host.readers import text
from vfioctl.txn.background import SPAWN_SECONDS, start_unit
from vfioctl.wait import Backoff, until

if TYPE_CHECKING:
    from vfioctl.compose import Composition
    from vfioctl.paths import Paths

LOOK = 0.05
SHELL = "/bin/sh"
# Says who it is, runs the command, says how it ended. When nobody follows any more, nobody needs what was said.
SCRIPT = """\
follower=$1 place=$2
shift 2
echo $$ >"$place/pid.new" && mv "$place/pid.new" "$place/pid"
"$@" >"$place/out" 2>"$place/err" </dev/null
echo $? >"$place/status.new" && mv "$place/status.new" "$place/status"
[ -d "/proc/$follower" ] || rm -rf "$place"
"""


def is_worth_it(paths: Paths) -> bool:
    """Whether this process belongs to a login, which may end, and systemd runs the host."""
    if not units.is_booted(paths):
        return False
    owner = cgroups.owner(text(os.path.join(paths.proc, str(os.getpid()), "cgroup")) or "")
    return owner.session is not None or owner.user_manager is not None


class Apart:
    """One command line in a unit called `vfioctl-NAME-PID`."""

    def __init__(self, composition: Composition, name: str, arguments: tuple[str, ...]) -> None:
        self.composition = composition
        self.unit = f"vfioctl-{name}-{os.getpid()}"
        self.place = os.path.join(composition.paths.run, f"{name}-{os.getpid()}-{time.monotonic_ns()}")
        self.argv = (*composition.self_argv, *arguments)
        self._seen = {"out": 0, "err": 0}
        self._decode = {name: codecs.getincrementaldecoder("utf-8")("replace").decode for name in self._seen}
        self._process: tuple[int, int] = (0, 0)

    def start(self) -> None:
        """Raises VfioctlError or OSError when it does not run; one that begins later finds no place, and ends."""
        files.make_private_dir(self.place)
        try:
            script = (SHELL, "-c", SCRIPT, "sh", str(os.getpid()), self.place, *self.argv)
            start_unit(self.composition, self.unit, script, "--setenv=LC_ALL=C.UTF-8")
            if not until(self._is_there, SPAWN_SECONDS):
                raise DeadlineExceeded("program.deadline", f"{self.unit} does not begin within {SPAWN_SECONDS:g} s.")
        except VfioctlError:
            self._clear()
            raise

    def _is_there(self) -> bool:
        pid = int(self._read("pid") or 0)
        self._process = (pid, start_time(self.composition.paths, pid) or 0)
        return bool(pid)

    def follow(self, show: Callable[[str, str], None], seconds: float) -> int:
        """Give `show` what it says on stdout and stderr until it has ended; returns its exit status.

        Raises VfioctlError("recover.lost").
        """
        for _ in Backoff(seconds, first=LOOK, longest=LOOK):
            alive, status = is_alive(self.composition.paths, *self._process), self._read("status")
            show(self._fresh("out"), self._fresh("err"))
            if status:
                self._clear()
                return int(status)
            if not alive:
                raise VfioctlError(
                    "recover.lost", f"{self.unit} was ended before its work was done.",
                    hints=("See what is left with: vfioctl status",),
                )  # fmt: skip
        raise DeadlineExceeded(
            "recover.lost", f"{self.unit} still runs after {seconds:g} s.", hints=("See: vfioctl status",)
        )

    def _read(self, name: str) -> str:
        return (files.read_text(os.path.join(self.place, name)) or "").strip()

    def _fresh(self, name: str) -> str:
        """What was said since the last look; a character may be torn between two of them."""
        try:
            with open(files.open_plain(os.path.join(self.place, name)), "rb") as file:
                file.seek(self._seen[name])
                said = file.read()
        except FileNotFoundError:
            return ""
        self._seen[name] += len(said)
        return self._decode[name](said)

    def _clear(self) -> None:
        shutil.rmtree(self.place, ignore_errors=True)
