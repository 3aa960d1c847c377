"""What happened, to stderr, a rotated file of JSON lines and journald, never stdout. Never raises or blocks.

A closed stderr, a full disk or a hanging journald cannot stop a hand-off: what could not go out is counted.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import time
from collections.abc import Mapping
from enum import IntEnum

from vfioctl.checking import TYPE_CHECKING
from vfioctl.ownership import writable_open

if TYPE_CHECKING:
    from socket import socket
    from typing import Any

    from vfioctl.paths import Paths

FILE = "vfioctl.log"
MAX_BYTES = 4 * 1024 * 1024
ROTATIONS = 3
LONGEST = 8192  # characters of one message
DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
PIPE_CHUNK = 4096  # PIPE_BUF: what poll(2) promises to take without blocking


class Priority(IntEnum):
    """syslog(3) priorities."""

    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6
    DEBUG = 7


ESCAPES = ((2, "x"), (4, "u"), (8, "U"))  # digits and letter, as in Python's strings


def plain(text: str) -> str:
    """`text` on one line, with nothing that a terminal would obey or hide: what is not printable is shown as an escape.

    Device and process names come from hardware and other users.
    """
    return text if text.isprintable() else "".join(map(_plain_character, text))


def _plain_character(character: str) -> str:
    if character in "\n\r\t":
        return " "
    if character.isprintable():
        return character
    code = ord(character)
    width, letter = next((width, letter) for width, letter in ESCAPES if code < 16**width)
    return f"\\{letter}{code:0{width}x}"


class Log:
    """Writes each message to every place that takes it. `lost` counts what no longer could be written."""

    def __init__(
        self, paths: Paths, *, stderr: int | None = 2, loudest: Priority = Priority.WARNING,
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        self.paths = paths
        self.stderr = stderr
        self.loudest = loudest  # the least urgent priority that still goes to stderr
        self.fields = dict(fields or {})
        self.lost = 0

    def about(self, **fields: Any) -> Log:
        """A log whose messages also carry `fields` (guest, event, step …)."""
        return Log(self.paths, stderr=self.stderr, loudest=self.loudest, fields={**self.fields, **fields})

    def error(self, message: str, /, **fields: Any) -> None:
        self.write(Priority.ERROR, message, **fields)

    def warning(self, message: str, /, **fields: Any) -> None:
        self.write(Priority.WARNING, message, **fields)

    def notice(self, message: str, /, **fields: Any) -> None:
        self.write(Priority.NOTICE, message, **fields)

    def info(self, message: str, /, **fields: Any) -> None:
        self.write(Priority.INFO, message, **fields)

    def debug(self, message: str, /, **fields: Any) -> None:
        self.write(Priority.DEBUG, message, **fields)

    def write(self, priority: Priority, message: str, /, **fields: Any) -> None:
        """Say `message` with `fields` everywhere. Returns normally whatever happens."""
        text = plain(message[:LONGEST])
        known = {**self.fields, **fields}
        self._attempt(self._to_file, priority, text, known)
        self._attempt(self._to_journal, priority, text, known)
        if self.stderr is not None and priority <= self.loudest:
            self._attempt(self._to_stderr, priority, text, known)

    def _attempt(self, writer: Any, priority: Priority, text: str, fields: Mapping[str, Any]) -> None:
        try:
            writer(priority, text, fields)
        except (OSError, ValueError, TypeError):  # a log that fails must not fail the hand-off
            self.lost += 1

    def _to_stderr(self, _priority: Priority, text: str, _fields: Mapping[str, Any]) -> None:
        assert self.stderr is not None
        data = f"vfioctl: {text}\n".encode()
        poll = select.poll()
        poll.register(self.stderr, select.POLLOUT)
        while data:
            if not poll.poll(0):
                raise BlockingIOError
            data = data[os.write(self.stderr, data[:PIPE_CHUNK]) :]

    def _to_file(self, priority: Priority, text: str, fields: Mapping[str, Any]) -> None:
        known = {"time": round(time.time(), 3), "priority": priority.name.lower(), "pid": os.getpid()}
        line = json.dumps({**fields, **known, "message": text}, default=str)
        directory = _open_directory(self.paths)
        try:
            self._append(directory, line.encode() + b"\n")
        finally:
            os.close(directory)

    def _append(self, directory: int, line: bytes) -> None:
        fd = os.open(FILE, APPEND, 0o600, dir_fd=directory)
        try:
            os.write(fd, line)
            if os.fstat(fd).st_size > MAX_BYTES:
                self._rotate(directory, fd)
        finally:
            os.close(fd)

    def _rotate(self, directory: int, fd: int) -> None:
        """Rename the file behind `fd` away, unless another process is doing it or has done it."""
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        if not os.path.samestat(os.fstat(fd), os.stat(FILE, dir_fd=directory)):
            return
        for number in range(ROTATIONS, 0, -1):
            younger = f"{FILE}.{number - 1}" if number > 1 else FILE
            try:
                os.replace(younger, f"{FILE}.{number}", src_dir_fd=directory, dst_dir_fd=directory)
            except FileNotFoundError:
                continue

    def _to_journal(self, priority: Priority, text: str, fields: Mapping[str, Any]) -> None:
        """One datagram of KEY=value lines, see systemd.io/JOURNAL_NATIVE_PROTOCOL; no value holds a newline."""
        address = self.paths.at("run/systemd/journal/socket")
        if not os.path.exists(address):
            return
        extra = (f"VFIOCTL_{key.upper()}={plain(str(fields[key]))}" for key in fields if key.isidentifier())
        lines = (f"MESSAGE={text}", f"PRIORITY={int(priority)}", "SYSLOG_IDENTIFIER=vfioctl", *extra, "")
        with _datagram_socket() as journal:
            journal.sendto("\n".join(lines).encode(), address)


def _open_directory(paths: Paths) -> int:
    """The directory of our logs, opened; it is made when it is not there.

    Raises OSError when it is a link, or when somebody else can write it and could have put a link or a pipe there. What
    is opened is what was judged: a group may write /var/log on many hosts, and so exchange what stands there.
    """
    try:
        fd = os.open(paths.log, DIRECTORY)
    except FileNotFoundError:
        os.makedirs(paths.log, mode=0o700, exist_ok=True)
        fd = os.open(paths.log, DIRECTORY)
    if why := writable_open(fd, paths.log):
        os.close(fd)
        raise PermissionError(why)
    return fd


def _datagram_socket() -> socket:
    import socket as sockets  # costs the hook path, so only where journald listens

    made = sockets.socket(sockets.AF_UNIX, sockets.SOCK_DGRAM | sockets.SOCK_CLOEXEC)
    made.settimeout(0)
    return made
