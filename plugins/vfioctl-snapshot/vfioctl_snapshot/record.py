"""What is kept of a snapshot made by the verbs: its parts, and where they lie. A JSON file each; pure but for reading.

Records are filed by the UUID of the domain, so that a new guest of an old name never meets another one's snapshots.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from vfioctl.plugin import TYPE_CHECKING, VfioctlError, field, frozen, read_bytes

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.plugin import Host

VERSION = 1
SUFFIX = ".json"
CAP = 4 << 20  # bytes
EXTERNAL, INTERNAL = "external", "internal"
BOOT = "boot"  # the origin of what the hook has made before a start


@frozen
class Part:
    """One disk of a snapshot: `image` holds what the guest saw; `overlay` was made over it, "" for none."""

    target: str
    image: str
    format: str
    overlay: str = ""


@frozen
class Record:
    """One snapshot. `nvram` is the copy of the firmware's variables, `tpm` that of the TPM's state, "" for none.

    `origin` is what made it: create, revert (which keeps what was before it), boot (the hook before a start), libvirt,
    or qemu-img. External ones lie in images of their own, internal ones inside the image that the guest writes to.
    `memory` says that it belongs to a running machine, `in_libvirt` that libvirt has a record of it too, `going` that
    its deletion has begun, so that its images may hold something else. Paths are the host's; `created` is in seconds
    since the epoch.
    """

    name: str
    uuid: str
    guest: str
    created: float
    disks: tuple[Part, ...]
    origin: str = "create"
    method: str = EXTERNAL
    state: str = "off"
    nvram: str = ""
    tpm: str = ""
    uefi: bool = False
    memory: bool = False
    in_libvirt: bool = False
    going: bool = False
    skipped: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> bytes:
        data = {"version": VERSION, **self.__dict__, "disks": [part.__dict__ for part in self.disks]}
        if not self.going:
            del data["going"]  # earlier versions read what does not have it
        return json.dumps({**data, "skipped": dict(self.skipped)}, indent=1).encode() + b"\n"

    @classmethod
    def from_json(cls, text: str) -> Record:
        """Raises ValueError, TypeError and KeyError where it is none."""
        data: dict[str, Any] = json.loads(text)
        if data.pop("version") != VERSION:
            raise ValueError("it is of another version of vfioctl")
        disks = tuple(Part(**part) for part in data.pop("disks"))
        return cls(disks=disks, **data)

    def shown(self) -> dict[str, Any]:
        """The record as the verbs show it."""
        return json.loads(self.to_json())  # type: ignore[no-any-return]

    @property
    def is_ours(self) -> bool:
        """Whether vfioctl made it, so that vfioctl deletes it."""
        return self.origin in ("create", "revert", BOOT)

    @property
    def holds_anything(self) -> bool:
        return bool(self.disks or self.nvram or self.tpm)

    @property
    def images(self) -> tuple[str, ...]:
        return tuple(part.image for part in self.disks)

    @property
    def overlays(self) -> tuple[str, ...]:
        return tuple(part.overlay for part in self.disks if part.overlay)


def place(uuid: str, name: str = "") -> str:
    """The directory of the records of a domain, or the file of one; on the host."""
    directory = f"/var/lib/vfioctl/snapshots/{uuid}"
    return f"{directory}/{name}{SUFFIX}" if name else directory


@frozen
class Records:
    """The records of one domain, oldest first, and the names of the files that are none, with why."""

    readable: tuple[Record, ...] = ()
    damaged: Mapping[str, str] = field(default_factory=dict)

    def find(self, name: str) -> Record | None:
        return next((record for record in self.readable if record.name == name), None)


def records(host: Host, uuid: str) -> Records:
    """The records of the domain `uuid`. Raises PermissionError where only root may read them."""
    directory = host.paths.at(place(uuid))
    try:
        names = sorted(name for name in os.listdir(directory) if name.endswith(SUFFIX))
    except FileNotFoundError:
        return Records()
    found, damaged = [], {}
    for name in names:
        try:
            found.append(Record.from_json(read_bytes(os.path.join(directory, name), limit=CAP).decode()))
        except (VfioctlError, OSError, ValueError, TypeError, KeyError) as error:
            damaged[name.removesuffix(SUFFIX)] = " ".join(str(error).split())
    return Records(tuple(sorted(found, key=lambda record: record.created)), damaged)
