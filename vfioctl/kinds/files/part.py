"""What has come of a download so far: how much of it is to be relied on, and its checksums. Asks no server.

A process that is killed leaves what it has written; a computer that loses its power only what was synced by then.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress

from vfioctl.checking import TYPE_CHECKING
from vfioctl.files import write_all

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CHUNK = 1 << 20
SYNC = 32 << 20  # bytes between two syncs: what a slow disk writes well before it counts as silent
VALIDATOR = "user.vfioctl.validator"  # what the server called the content that was begun (RFC 9110, 13.1.5)
SYNCED = "user.vfioctl.synced"  # in which boot it was written to last, and how much of it lay on the disk by then
SERVER, DISK = "server", "disk"


class Part:
    """The file `fd`: `done` bytes of it have come, `total` are to be there in the end, 0 where nobody knows.

    It must have the checksums `wanted`, by their names. `boot` is the id of this boot. `say(place, done, total)` hears
    what it waits for from now on, SERVER or DISK.
    """

    def __init__(self, fd: int, wanted: Mapping[str, str], boot: str, say: Callable[[str, int, int], None]) -> None:
        self.fd = fd
        self.wanted = wanted
        self.boot = boot
        self.sums = {name: hashlib.new(name) for name in wanted}
        self.say = say
        self.done = self.total = self.synced = 0
        self.came = 0  # bytes, those that came twice as well
        self.validator = ""

    def take_up(self) -> None:
        """Go on with what an earlier process has left, where it noted what that is a part of."""
        self.at(DISK)
        with suppress(OSError):
            self.validator = os.getxattr(self.fd, VALIDATOR).decode()
        if not self.validator:
            self.restart()
            return
        sure = self._sure()
        os.ftruncate(self.fd, sure)
        self._read(sure)
        self._sync()

    def _read(self, length: int) -> None:
        """Count the `length` bytes that are there; they are read where that is needed."""
        if not self.sums:
            self.done = os.lseek(self.fd, length, os.SEEK_SET)
            return
        os.lseek(self.fd, 0, os.SEEK_SET)
        while chunk := os.read(self.fd, CHUNK):
            self._count(chunk)
            self.at(DISK)

    def _sure(self) -> int:
        """How many of its bytes are what has come."""
        length = os.fstat(self.fd).st_size
        try:
            boot, synced = os.getxattr(self.fd, SYNCED).decode().split()
        except (OSError, ValueError):
            return 0
        return length if boot == self.boot else min(length, int(synced))

    def restart(self) -> None:
        """Nothing of it is of any use."""
        self.at(DISK)
        os.ftruncate(self.fd, 0)
        os.lseek(self.fd, 0, os.SEEK_SET)
        self.done = self.total = self.synced = 0
        self.sums = {name: hashlib.new(name) for name in self.wanted}

    def note(self, validator: str) -> None:
        """Remember what the content is called, for another process too where the file system keeps such notes."""
        self.validator = validator
        self._note_synced()
        with suppress(OSError):
            os.setxattr(self.fd, VALIDATOR, validator.encode())

    def forget(self) -> None:
        """It is whole: the notes are of no use to whoever gets the file."""
        for name in (VALIDATOR, SYNCED):
            with suppress(OSError):
                os.removexattr(self.fd, name)

    def add(self, chunk: bytes) -> None:
        """Keep what has come."""
        self.at(DISK)
        write_all(self.fd, chunk)
        self.came += len(chunk)
        self._count(chunk)
        if self.done - self.synced >= SYNC:
            self._sync()
        self.at(SERVER)

    def at(self, place: str) -> None:
        """Say what is waited for from now on."""
        self.say(place, self.done, self.total)

    @property
    def wrong(self) -> str:
        """A checksum that is not as wanted, in words; "" for none."""
        for name, digits in self.wanted.items():
            if (found := self.sums[name].hexdigest()) != digits:
                return f"the {name} {found}, not {digits}"
        return ""

    def _count(self, chunk: bytes) -> None:
        for one in self.sums.values():
            one.update(chunk)
        self.done += len(chunk)

    def _sync(self) -> None:
        os.fdatasync(self.fd)
        self.synced = self.done
        self._note_synced()

    def _note_synced(self) -> None:
        with suppress(OSError):
            os.setxattr(self.fd, SYNCED, f"{self.boot} {self.synced}".encode())
