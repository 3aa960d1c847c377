"""The undo that hand-offs left as shell: which there are, what each would do, and one of them run and followed.

Needs no journal and no plan: the scripts and their logs say everything. Decides nothing about what is run.
"""

from __future__ import annotations

import os
import shlex
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from vfioctl import files
from vfioctl.errors import VfioctlError
from vfioctl.frozen import frozen
from vfioctl.handoff.markers import uuid_of
from vfioctl.ownership import writable_itself
from vfioctl.wait import Backoff

if TYPE_CHECKING:
    from vfioctl.compose import Composition
    from vfioctl.paths import Paths

SHELL = "/bin/sh"  # many distributions mount /run with noexec
SECONDS = 120.0
POLL = 0.05
STEP, FAILED = "step ", "FAILED: "


@frozen
class Undo:
    """One rendered script: whose it is, where it writes its log, and the ids of its steps, in its order."""

    guest: str
    uuid: str
    script: str
    log: str
    steps: tuple[str, ...] = ()


@frozen
class Ran:
    """How one script ended; `failed` is what its log calls failed."""

    ok: bool
    failed: tuple[str, ...] = ()
    said: str = ""

    @property
    def why(self) -> str:
        return "; ".join(self.failed) or self.said


def scripts(paths: Paths) -> tuple[Undo, ...]:
    """The rendered undo of every guest that has one."""
    try:
        guests = sorted(os.listdir(paths.markers))
    except FileNotFoundError:
        return ()
    found = []
    for guest in guests:
        script = os.path.join(paths.guest_markers(guest), "undo.sh")
        if os.path.isfile(script):
            text = files.read_text(script) or ""
            found.append(Undo(guest, uuid_of(paths, guest) or "", script, _log_in(text), tuple(_steps_in(text))))
    return tuple(found)


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return []


def _log_in(text: str) -> str:
    """The script says in a line of its own where its log is: LOG='…'."""
    lines = (line for line in text.split("\n") if line.startswith("LOG="))
    return next((word.removeprefix("LOG=") for line in lines for word in _words(line)), "")


def _steps_in(text: str) -> Iterator[str]:
    """Each step is a block that begins with: if step 'ID' 'KIND' 'LEDGER'; then."""
    for line in text.split("\n"):
        if line.startswith(f"if {STEP}") and len(words := _words(line)) > 2:  # noqa: PLR2004 -- if, step, ID
            yield words[2]


class Follower:
    """Reads the log of a script while it is written, and shows each line without its time.

    Nothing of a log in a directory of somebody else, into which the script does not write either.
    """

    def __init__(self, path: str, show: Callable[[str], None]) -> None:
        self.path = os.devnull if writable_itself(os.path.dirname(path)) else path
        self.show = show
        self.failed: list[str] = []
        self.last = ""
        self._at = os.stat(self.path).st_size if os.path.isfile(self.path) else 0
        self._rest = ""

    def look(self) -> None:
        """Show what came since the last look."""
        try:
            with open(files.open_plain(self.path), encoding="ascii", errors="replace") as file:
                file.seek(self._at)
                fresh = file.read()
                self._at = file.tell()
        except OSError:
            return  # it is not there yet, or cannot be written
        *lines, self._rest = (self._rest + fresh).split("\n")
        for line in lines:
            self._tell(line.partition(" ")[2])

    def _tell(self, said: str) -> None:
        if said.startswith(FAILED):
            self.failed.append(said.removeprefix(FAILED))
        self.last = said or self.last
        step = said.startswith(STEP)
        self.show(f"  undo   {said.removeprefix(STEP)}" if step else f"         {said}")


def run(here: Composition, undo: Undo, show: Callable[[str], None]) -> Ran:
    """Run the script of `undo` to its end, showing each line of its log as it is written.

    It has a session of its own: KeyboardInterrupt ends the watching, not the script.
    """
    ended: list[Ran] = []
    worker = threading.Thread(target=lambda: ended.append(_run(here, undo)), daemon=True)
    follower = Follower(undo.log, show)
    worker.start()
    for _ in Backoff(SECONDS * 2, longest=POLL):
        follower.look()
        if not worker.is_alive():
            break
    worker.join()
    follower.look()
    said = f"its log ends with: {follower.last}" if follower.last and not ended[0].ok else ended[0].said
    return Ran(ended[0].ok, tuple(follower.failed), said)


def _run(here: Composition, undo: Undo) -> Ran:
    try:
        ended = here.programs.run((SHELL, undo.script), deadline=SECONDS)
    except VfioctlError as error:
        return Ran(ok=False, said=error.message)
    if ended.ok or ended.returncode < 0 or ended.stderr:
        return Ran(ended.ok, said="done" if ended.ok else ended.why())
    return Ran(ok=False, said=f"it ended with status {ended.returncode}, and nothing of its log can be shown")
