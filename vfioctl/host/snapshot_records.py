"""The snapshots that are written down on this host, by the format of docs/reference/snapshots.md. Only reads.

libvirt forgets one whose record is deleted, and never knew those that a revert keeps: their files are needed anyhow.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import VfioctlError
from vfioctl.files import read_bytes
from vfioctl.frozen import frozen, replace

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.paths import Paths

SUFFIX = ".json"
LARGEST = 4 << 20  # bytes


@frozen
class SnapshotRecord:
    """A snapshot of the guest `uuid`, once called `guest`: `disks` are the target and the image of each, by target.

    `file` is its record; `problem` says why that cannot be read, which leaves all else empty.
    """

    uuid: str
    file: str
    guest: str = ""
    name: str = ""
    disks: tuple[tuple[str, str], ...] = ()
    copies: tuple[str, ...] = ()  # of its NVRAM, and of the state of its TPM
    internal: bool = False  # it lies inside the images, which its guest goes on writing to
    problem: str = ""
    is_left: bool = False  # its guest is gone

    @property
    def files(self) -> tuple[str, ...]:
        """Every file without which it cannot be gone back to."""
        return (*(image for _, image in self.disks), *self.copies)

    @property
    def said(self) -> str:
        gone = f" (that guest is gone; the record: {self.file})" if self.is_left else ""
        return f"snapshot {self.name} of guest {self.guest}{gone}"

    def of_nobody(self) -> SnapshotRecord:
        """The same of a guest that libvirt does not know any more."""
        return replace(self, is_left=True)


def snapshot_records(paths: Paths, uuid: str = "") -> tuple[SnapshotRecord, ...]:
    """Those of every guest, or of the guest `uuid`. What cannot be read is among them, with its problem."""
    place = paths.at("var/lib/vfioctl/snapshots")
    try:
        guests = [uuid] if uuid else sorted(os.listdir(place))
    except FileNotFoundError:
        return ()
    except OSError as error:
        return (SnapshotRecord("", place, problem=str(error.strerror)),)
    return tuple(record for guest in guests for record in _of(f"{place}/{guest}", guest))


def _of(directory: str, uuid: str) -> Iterator[SnapshotRecord]:
    try:
        names = sorted(name for name in os.listdir(directory) if name.endswith(SUFFIX))
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        yield SnapshotRecord(uuid, directory, problem=str(error.strerror))
        return
    yield from (_record(f"{directory}/{name}", uuid) for name in names)


def _record(file: str, uuid: str) -> SnapshotRecord:
    try:
        data: dict[str, Any] = json.loads(read_bytes(file, limit=LARGEST))
        disks = tuple((str(part["target"]), str(part["image"])) for part in data["disks"])
        copies = tuple(str(data[key]) for key in ("nvram", "tpm") if data[key])
        inside = data.get("method") == "internal"
        return SnapshotRecord(uuid, file, str(data["guest"]), str(data["name"]), disks, copies, inside)
    except (VfioctlError, OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        return SnapshotRecord(uuid, file, problem=" ".join(str(error).split()))
