"""A file system that never answers, as a hard NFS mount whose server is gone: a real FUSE mount, open to every user.

Whoever looks below it waits in the kernel, and no signal ends the wait: each request is taken, and none is answered.
"""

from __future__ import annotations

import os
import select
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab.inside.fuse import libc, mount

HEADER = struct.Struct("<IIQQIIII")
ANSWER = struct.Struct("<IiQ")
INIT, LOOKUP, GETATTR, OPENDIR = 26, 1, 3, 27
INIT_OUT = struct.Struct("<IIIIHHIIHHI28x")
ENTRY = struct.Struct("<QQQQII")
ATTR = struct.Struct("<QQQQQQIIIIIIIIII")
ATTR_VALID = struct.Struct("<QII")
BUFFER = 1 << 18
MNT_DETACH = 2
FILE_INO = 2

needs_fuse = pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists("/dev/fuse"), reason="mounting needs root")


class _Server:
    """Takes every request of one mount. `stats`: names and attributes are answered, of files of 1 MiB; data never."""

    def __init__(self, fd: int, *, stats: bool) -> None:
        self.fd = fd
        self.stats = stats
        self.over, self.ending = os.pipe()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while self.over not in select.select([self.fd, self.over], [], [])[0]:
            try:
                message = os.read(self.fd, BUFFER)
            except OSError:
                return
            _, opcode, unique, ino, *_ = HEADER.unpack_from(message)
            if answer := self._answer(opcode, ino):
                os.write(self.fd, ANSWER.pack(ANSWER.size + len(answer), 0, unique) + answer)

    def _answer(self, opcode: int, ino: int) -> bytes | None:
        if opcode == INIT:
            return INIT_OUT.pack(7, 31, 0, 0, 64, 48, 65536, 1, 0, 0, 0)
        if self.stats and opcode == LOOKUP:
            return ENTRY.pack(FILE_INO, 0, 0, 0, 0, 0) + self._attr(FILE_INO)
        if self.stats and opcode == GETATTR:
            return ATTR_VALID.pack(0, 0, 0) + self._attr(ino)
        return None

    def _attr(self, ino: int) -> bytes:
        mode = 0o100600 if ino == FILE_INO else 0o040755
        return ATTR.pack(ino, 1 << 20, 8, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

    def end(self) -> None:
        """Whoever waits gets an error now."""
        os.write(self.ending, b".")
        self.thread.join()
        for fd in (self.fd, self.over, self.ending):
            os.close(fd)


@contextmanager
def silent(place: str | Path, *, stats: bool = False) -> Iterator[str]:
    """The directory `place` on a file system that never answers."""
    server = _Server(mount(str(place), 0, shared=True), stats=stats)
    try:
        yield str(place)
    finally:
        libc.umount2(os.fsencode(place), MNT_DETACH)
        server.end()
