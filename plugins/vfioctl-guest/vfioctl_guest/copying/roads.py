"""The two roads into a guest, its agent and ssh: a script runs there, and bytes go in or come out. Alike in use."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from vfioctl.plugin import (
    TYPE_CHECKING,
    VfioctlError,
    frozen,
    piped,
    read_guest_file,
    run_in_guest,
    write_guest_file,
)
from vfioctl_guest.copying.scripts import READ, WRITE

if TYPE_CHECKING:
    from vfioctl.plugin import Connection
    from vfioctl_guest.life import Subject

LONG = 600.0  # seconds for a script: a checksum of all that was copied is the longest
STALL = 60.0  # seconds in which no byte has moved
SSH_FAILED = 255  # the exit status of ssh itself


@frozen
class Said:
    """How a script ended in a guest."""

    status: int
    stdout: str
    stderr: str


class Road(Protocol):
    """Each raises VfioctlError where it does not lead there."""

    @property
    def name(self) -> str:
        """As --by calls it."""

    def run(self, script: str, *words: str) -> Said:
        """How `script` ended there; `words` are its arguments."""

    def read(self, path: str, take: Callable[[bytes], object]) -> None:
        """Give `take` the bytes of the file `path`, piece by piece."""

    def write(self, path: str, chunks: Iterable[bytes]) -> None:
        """Make the file `path` of `chunks`."""


@frozen
class AgentRoad:
    """Through the agent, as the user that it is."""

    connection: Connection
    uuid: str
    name: str = "agent"

    def run(self, script: str, *words: str) -> Said:
        argv = ("/bin/sh", "-c", script, "sh", *words)
        ended = run_in_guest(self.connection, self.uuid, argv, limit=LONG)
        out, complaints = (said.decode(errors="replace") for said in (ended.stdout, ended.stderr))
        return Said(ended.status or ended.signal, out, _line(complaints))

    def read(self, path: str, take: Callable[[bytes], object]) -> None:
        read_guest_file(self.connection, self.uuid, path, take)

    def write(self, path: str, chunks: Iterable[bytes]) -> None:
        write_guest_file(self.connection, self.uuid, path, chunks)


@frozen
class SshRoad:
    """Over ssh, whose command line up to the remote command is `argv`."""

    about: Subject
    argv: tuple[str, ...]
    name: str = "ssh"

    def run(self, script: str, *words: str) -> Said:
        heard: list[bytes] = []
        status, stderr = self._piped(script, words, heard.append, stall=LONG)
        return Said(status, b"".join(heard).decode(errors="replace"), stderr)

    def read(self, path: str, take: Callable[[bytes], object]) -> None:
        self._done(*self._piped(READ, (path,), take))

    def write(self, path: str, chunks: Iterable[bytes]) -> None:
        self._done(*self._piped(WRITE, (path,), lambda _: None, chunks))

    def _piped(
        self, script: str, words: Sequence[str], take: Callable[[bytes], object], chunks: Iterable[bytes] = (),
        *, stall: float = STALL,
    ) -> tuple[int, str]:  # fmt: skip
        """Raises VfioctlError("guest.copy_failed") where ssh does not get there."""
        remote = shlex.join(("sh", "-c", script, "sh", *words))  # sshd hands one string to the user's shell
        ended = piped((*self.argv, remote), chunks, take, stall=stall)
        said = _line(ended.stderr)
        if ended.status == SSH_FAILED:
            raise VfioctlError(
                "guest.copy_failed", f"ssh does not get into guest {self.about.name}: {said}.",
                hints=(f"It asks nobody here; try it by hand: vfioctl guest ssh {self.about.called}",
                       "Or copy through its agent: --by agent"),
            )  # fmt: skip
        return ended.status, said

    def _done(self, status: int, said: str) -> None:
        if status:
            raise VfioctlError("guest.copy_failed", f"Guest {self.about.name} stopped the copy: {said or status}.")


def _line(said: str) -> str:
    """Complaints as a part of a sentence."""
    return " ".join(said.split()).rstrip(".")
