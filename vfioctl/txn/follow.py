"""Follows an operation that another process works on, by its journal. Reads only."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

from vfioctl import files
from vfioctl.frozen import fields
from vfioctl.paths import Paths
from vfioctl.txn.journal import PROGRESS, Moment, Standing
from vfioctl.txn.plan import Action

MOST = 1 << 20  # bytes of one look
NAMES = frozenset(item.name for item in fields(Moment))


class Follower:
    """One operation while its journal is written: both files, which can be read to their end although they are removed.

    What lies on a disk is told in one of them, the rest in the other, and how far it is in both.
    """

    def __init__(self, paths: Paths, key: str) -> None:
        self.path = paths.boot_journal(key)
        self.boot, self.disk = _Lines(self.path), _Lines(paths.disk_journal(key))
        self._progress: Moment | None = None

    def skip(self) -> None:
        """Pass over what was written so far."""
        self.boot.skip()
        self.disk.skip()

    def look(self) -> Iterator[Moment | Standing]:
        """What came since the last look, in order; what a long step says of itself comes last."""
        disk = [line for line in self.disk.new() if isinstance(line[1], Moment)]
        for _, said in sorted((*self.boot.new(), *disk), key=lambda line: line[0]):
            yield said
        now = progress(self.path)
        if now is not None and now != self._progress:
            self._progress = now
            yield now

    def close(self) -> None:
        self.boot.close()
        self.disk.close()


class _Lines:
    """The lines of one file as they come, each with its time."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.fd = -1
        self._rest = b""

    def skip(self) -> None:
        if self._is_open():
            os.lseek(self.fd, 0, os.SEEK_END)

    def new(self) -> list[tuple[float, Moment | Standing]]:
        if not self._is_open():
            return []
        found: list[tuple[float, Moment | Standing]] = []
        while data := os.read(self.fd, MOST):
            *lines, self._rest = (self._rest + data).split(b"\n")
            found += [said for line in lines if (said := _said(line)) is not None]
        return found

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _is_open(self) -> bool:
        if self.fd < 0:
            try:
                self.fd = files.open_plain(self.path)
            except FileNotFoundError:
                return False
        return True


def progress(path: str) -> Moment | None:
    """How far the long step is that the journal at `path` runs now; None where none says so."""
    try:
        return _moment(files.read_json(f"{path}{PROGRESS}"))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None  # it is overwritten all the time, and worth nothing by itself


def _said(line: bytes) -> tuple[float, Moment | Standing] | None:
    """One line of the journal; None for its header and what is damaged."""
    try:
        data = json.loads(line)
        at = float(data["at"])
        return at, Standing(data["standing"]) if "standing" in data else _moment(data)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _moment(data: dict[str, object]) -> Moment:
    known = {name: value for name, value in data.items() if name in NAMES}
    return Moment(**{**known, "action": Action(known["action"])})  # type: ignore[arg-type] # JSON values
