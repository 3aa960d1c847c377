"""What qemu-img says of a qcow2 image. Reads, takes the image's lock for it, and never looks past one (no -U)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from vfioctl.errors import VfioctlError
from vfioctl.frozen import frozen

if TYPE_CHECKING:
    from vfioctl.host.host import Host

DEADLINE = 3.0  # seconds; the core gives a hook 5
LOCKED = ("Failed to get", "Is another process using the image")  # block/file-posix.c in QEMU


@frozen
class Snapshot:
    """An internal snapshot. With `has_memory` it belongs to a running machine and is never one of ours."""

    name: str
    has_memory: bool


@frozen
class Image:
    """An image as it is now; `code` and `why` say what keeps it from being snapshotted."""

    snapshots: tuple[Snapshot, ...] = ()
    code: str = ""
    why: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The snapshots without memory."""
        return tuple(snapshot.name for snapshot in self.snapshots if not snapshot.has_memory)


def look(host: Host, path: str) -> Image:
    """The qcow2 image at `path`, a path on the host."""
    argv = ("qemu-img", "info", "-f", "qcow2", "--output=json", "--", host.paths.at(path))
    try:
        shown = host.programs.run(argv, deadline=DEADLINE)
    except VfioctlError as error:
        return Image(code="snapshot.unreadable", why=f"it cannot be looked at: {error.message.rstrip('.')}")
    if not shown.ok:
        said = " ".join(shown.stderr.split())
        if any(word in said for word in LOCKED):
            return Image(code="snapshot.in_use", why=f"{path} is in use by another process")
        return Image(code="snapshot.unreadable", why=f"qemu-img cannot read {path}: {said or 'it said nothing'}")
    try:
        return read(json.loads(shown.stdout))
    except (ValueError, KeyError, TypeError, AttributeError):
        return Image(code="snapshot.unreadable", why=f"what qemu-img says of {path} is not understood")


def read(info: dict[str, Any]) -> Image:
    """The image that `qemu-img info --output=json` describes."""
    special = info.get("format-specific", {}).get("data", {})
    found = tuple(Snapshot(item["name"], bool(item.get("vm-state-size"))) for item in info.get("snapshots", ()))
    if special.get("corrupt"):
        return Image(found, "snapshot.corrupt", "it is marked as corrupt")
    if special.get("data-file"):
        return Image(found, "snapshot.format", "its data lie in a separate raw file, so it holds no snapshots")
    return Image(found)
