"""Changes of this host's own files that stay on record until they are taken back: as data, and what stands there.

Reads only; actions/host_changes.py makes them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
from enum import StrEnum

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import Refused
from vfioctl.files import open_plain, read_bytes
from vfioctl.findings import Finding
from vfioctl.frozen import frozen, replace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from vfioctl.paths import Paths

SCHEMA = 1
NEW_MODE = 0o644


@frozen
class FileEdit:
    """What the file `path` is to say from now on, and why. `mode` is that of a new file; one that is there keeps its.

    `own`: the file belongs to the change alone, so that one that somebody else has made is never replaced.
    `remode`: a file that is there gets `mode`, too. `stand_in`: what counts without such a file, where that may be
    something else by the time of the undo; it is kept on record.
    """

    path: str
    content: bytes
    reason: str
    mode: int = NEW_MODE
    own: bool = False
    remode: bool = False
    stand_in: bytes | None = None


@frozen
class HostChange:
    """Edits of this host's files; `refresh` are the programs that make other files anew from these, as argv.

    `record` names what they are kept under: what stands there is taken back together, by the command `back`.
    `restart`: they take effect with the next boot. `findings` speak against it, or are to be said.
    """

    record: str
    back: str
    edits: tuple[FileEdit, ...]
    refresh: tuple[tuple[str, ...], ...] = ()
    restart: bool = False
    findings: tuple[Finding, ...] = ()


@frozen
class FileBefore:
    """What a file was before the first change on record."""

    content: bytes
    mode: int
    uid: int
    gid: int


class Fate(StrEnum):
    """How a file on record is now."""

    WRITTEN = "written"  # as the change left it
    BEFORE = "before"  # as it was before the change
    GONE = "gone"
    EDITED = "edited"  # by somebody else, since


@frozen
class RecordedFile:
    """A file on record: what it was (None: not there), and the checksum and mode that the change gave it.

    `stand_in` is what counted in its place, where it was not there.
    """

    path: str
    before: FileBefore | None
    sha256: str
    mode: int
    stand_in: bytes | None = None

    def fate(self, paths: Paths) -> Fate:
        """How it is now. Raises OSError where it cannot be read."""
        now = read_now(paths.at(self.path))
        if now is None:
            return Fate.BEFORE if self.before is None else Fate.GONE
        if (checksum(now.content), now.mode) == (self.sha256, self.mode):
            return Fate.WRITTEN
        return Fate.BEFORE if now == self.before else Fate.EDITED

    def staying(self) -> RecordedFile:
        """The same of which, put back, a file with the `stand_in` is left."""
        return replace(self, before=FileBefore(self.stand_in or b"", self.mode, -1, -1))


@frozen
class HostRecord:
    """Everything that stands under one name."""

    files: tuple[RecordedFile, ...] = ()
    refresh: tuple[tuple[str, ...], ...] = ()
    restart: bool = False

    def find(self, path: str) -> RecordedFile | None:
        return next((one for one in self.files if one.path == path), None)


def record_path(name: str) -> str:
    """Where the record `name` lies, on the host."""
    return f"/var/lib/vfioctl/changes-{name}.json"


def read_host_record(paths: Paths, name: str) -> HostRecord:
    """What is on record under `name`; nothing where there is no record.

    Raises Refused("change.damaged") for one that is none, PermissionError where the caller may not read it.
    """
    path = paths.at(record_path(name))
    try:
        return _parsed(json.loads(read_bytes(path)))
    except FileNotFoundError:
        return HostRecord()
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(
            "change.damaged", f"{path} is not what vfioctl has written there.", state="Nothing was changed.",
            hints=("Put it back from a backup, or move it away: then nothing is taken back.",),
        ) from error  # fmt: skip


def record_bytes(record: HostRecord) -> bytes:
    """The record as it is kept: for root only, since what a file was may be nobody else's business."""
    data = {
        "schema": SCHEMA, "refresh": record.refresh, "restart": record.restart,
        "files": [
            {"path": one.path, "sha256": one.sha256, "mode": one.mode, "before": _as_data(one.before),
             **({} if one.stand_in is None else {"stand_in": _as_text(one.stand_in)})}
            for one in record.files
        ],
    }  # fmt: skip
    return f"{json.dumps(data, indent=1)}\n".encode()


def read_now(path: str) -> FileBefore | None:
    """What the plain file at `path` is; None where nothing is. Raises OSError, also for what is no plain file."""
    try:
        fd = open_plain(path, foreign=True)
    except FileNotFoundError:
        return None
    with open(fd, "rb") as file:
        status = os.fstat(fd)
        return FileBefore(file.read(), stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)


def checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _as_data(before: FileBefore | None) -> dict[str, Any] | None:
    if before is None:
        return None
    return {"content": _as_text(before.content), "mode": before.mode, "uid": before.uid, "gid": before.gid}


def _as_text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _as_bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _parsed(data: Mapping[str, Any]) -> HostRecord:
    if data["schema"] != SCHEMA:
        raise ValueError(data["schema"])
    files = (
        RecordedFile(
            str(one["path"]), _before(one["before"]), str(one["sha256"]), int(one["mode"]),
            _as_bytes(one["stand_in"]) if "stand_in" in one else None,
        )
        for one in data["files"]
    )
    refresh = (tuple(str(word) for word in argv) for argv in data["refresh"])
    return HostRecord(tuple(files), tuple(refresh), bool(data["restart"]))


def _before(data: Mapping[str, Any] | None) -> FileBefore | None:
    if data is None:
        return None
    return FileBefore(_as_bytes(data["content"]), int(data["mode"]), int(data["uid"]), int(data["gid"]))
