"""A guest's serial console on the caller's terminal, or in a pipe; what the guest says is also kept where one likes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vfioctl import files
from vfioctl.cli.sessions.raw import Signals, raw
from vfioctl.errors import Irregular, Refused, VfioctlError
from vfioctl.frozen import replace
from vfioctl.result import Message
from vfioctl.virt.consoles import console_of
from vfioctl.virt.nodes import Node
from vfioctl.wait import until

if TYPE_CHECKING:
    from vfioctl.result import Result
    from vfioctl.sessions import ConsoleSession
    from vfioctl.virt.consoles import Console

STDIN, STDOUT, STDERR = 0, 1, 2
KEYS = 4096  # bytes taken at once
SIGNALLED = 128  # and the signal's number: as a shell says it
RUNS_ON = "The guest runs on."
SETTLES = 5.0  # seconds in which libvirt may still call a guest running whose QEMU, ending, has closed the line


def talk(result: Result, session: ConsoleSession) -> Result:
    """`result` when the console was left, or the guest has ended. Raises Refused, VfioctlError("console.lost")."""
    node, signals = Node(session.node, session.uri), Signals()
    opened = console_of(node, session.uuid, session.device, force=session.force)
    with _log(session.log) as log, opened as console:
        _greet(session)
        line = Line(session, log)
        with signals.noted(), raw(STDIN):
            console.follow(STDIN, line.typed, line.heard, lambda: bool(signals.number))
        if signals.number:
            return replace(result, exit_status=SIGNALLED + signals.number)
        return result.saying(Message(how_it_ended(session, console, left=line.is_left)))


def how_it_ended(session: ConsoleSession, console: Console, *, left: bool) -> str:
    """How the console ended, in words. Raises VfioctlError("console.lost") where neither we nor the guest did it."""
    if left:
        runs = console.guest_runs()
        return f"The console of guest {session.guest} was left, and the guest {'runs on' if runs else 'is off'}."
    if until(lambda: not console.guest_runs(), SETTLES):
        return f"Guest {session.guest} is off, and its console has ended."
    raise VfioctlError(
        "console.lost", f"The console of guest {session.guest} was closed by its node.", state=RUNS_ON,
        hints=("Somebody else may have taken it with --force.",),
    )  # fmt: skip


def _greet(session: ConsoleSession) -> None:
    """Say on stderr how it is left, and what a serial line cannot know: the guest is told nothing by us."""
    if not os.isatty(STDIN):
        return
    key = f"Leave it with {named(session.escape)}." if session.escape else "It ends with the guest."
    columns, rows = os.get_terminal_size(STDIN)
    size = f" A serial line has no size; in the guest: stty rows {rows} cols {columns}" if rows and columns else ""
    _put(STDERR, f"The console of guest {session.guest}. {key}{size}\n".encode())


def named(key: str) -> str:
    """A key as one types it: ^] for the character 0x1d."""
    return key if key.isprintable() else f"^{chr(ord(key) ^ 0x40)}"


class Line:
    """Both directions of a console: the keys that go to the guest, and where its words go."""

    def __init__(self, session: ConsoleSession, log: int | None) -> None:
        self._log = log
        self._path = session.log
        self._escape = session.escape.encode() if os.isatty(STDIN) else b""
        self.is_left = False

    def typed(self) -> bytes | None:
        """What was typed up to the escape, whose key is None; b"" at the end of a pipe."""
        keys = os.read(STDIN, KEYS)
        self.is_left = not keys or bool(self._escape and self._escape in keys)
        return None if keys and self.is_left else keys

    def heard(self, said: bytes) -> None:
        """Raises OSError where nobody reads any more, VfioctlError("console.log") where the log takes no more."""
        _put(STDOUT, said)
        if self._log is None:
            return
        try:
            _put(self._log, said)
        except OSError as error:
            why = f"{self._path} takes no more: {error.strerror}."
            raise VfioctlError("console.log", why, state=RUNS_ON) from error


@contextmanager
def _log(path: str) -> Iterator[int | None]:
    """The file `path` to append to, which only its owner may read where it is made; None without one."""
    if not path:
        yield None
        return
    try:
        fd = files.open_plain(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    except OSError as error:  # Irregular is one: a link, another's file
        why = error.what if isinstance(error, Irregular) else error.strerror
        raise Refused("console.log", f"{path} cannot be written: {why}.", state="No console was opened.") from error
    try:
        yield fd
    finally:
        os.close(fd)


def _put(fd: int, data: bytes) -> None:
    """All of it: a pipe may take only a part."""
    while data:
        data = data[os.write(fd, data):]
