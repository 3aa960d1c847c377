"""What qemu-img says of a qcow2 image. Reads, takes the image's lock for it, and never looks past one (no -U)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

from vfioctl.plugin import TYPE_CHECKING, Host, VfioctlError, frozen

if TYPE_CHECKING:
    from typing import Any


LONGEST_CHAIN = 8  # images
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
    """The qcow2 image at `path`, a path on the host, and whether root may open what lies below it.

    Who defines domains chooses the path, and who fills images what an image names as its backing: a device that does
    something when it is opened, or the network.
    """
    image, below = _look(host, path)
    for _ in range(LONGEST_CHAIN):
        if image.code or below is None:
            return image
        if why := _unsafe(host, *below):
            return Image(code="snapshot.backing", why=why)
        below = _look(host, below[0])[1] if below[1] == "qcow2" else None
    return Image(code="snapshot.backing", why=f"more than {LONGEST_CHAIN} images lie below it")


def _is_no_file(path: str) -> bool:
    return os.path.exists(path) and not os.path.isfile(path)


def _unsafe(host: Host, path: str, form: str) -> str:
    """Why root must not open the backing `path` of the format `form`; empty when it may."""
    if form not in ("qcow2", "raw"):
        return f"it does not say that {path} below it is qcow2 or raw, so that would be guessed"
    return "" if path.startswith("/") and _is(host, path, os.path.isfile) else f"{path} below it is no file here"


def _is(host: Host, path: str, test: Callable[[str], bool]) -> bool:
    """Asked in a way that a share whose server is gone cannot hold up."""
    there = host.paths.at(path)
    return host.ask(there, lambda: test(there))


def _look(host: Host, path: str) -> tuple[Image, tuple[str, str] | None]:
    """The image at `path`, and path and format of what it says lies below it. Does not open that."""
    if _is(host, path, _is_no_file):
        return Image(code="snapshot.not_here", why=f"{path} is no file"), None
    argv = ("qemu-img", "info", "-f", "qcow2", "--output=json", "--", host.paths.at(path))
    try:
        shown = host.shown(argv, deadline=DEADLINE)
    except VfioctlError as error:
        return Image(code="snapshot.unreadable", why=f"it cannot be looked at: {error.message.rstrip('.')}"), None
    if not shown.ok:
        return _failed(path, " ".join(shown.stderr.split())), None
    try:
        info = json.loads(shown.stdout)
        return read(info), backing(info, host.paths.root)
    except (ValueError, KeyError, TypeError, AttributeError):
        return Image(code="snapshot.unreadable", why=f"what qemu-img says of {path} is not understood"), None


def _failed(path: str, said: str) -> Image:
    if any(word in said for word in LOCKED):
        return Image(code="snapshot.in_use", why=f"{path} is in use by another process")
    return Image(code="snapshot.unreadable", why=f"qemu-img cannot read {path}: {said or 'it said nothing'}")


def backing(info: dict[str, Any], root: str) -> tuple[str, str] | None:
    """Path and format of what lies below the image that `info` describes, None for nothing."""
    path = info.get("full-backing-filename") or info.get("backing-filename")
    if not path:
        return None
    below = path.removeprefix(root.rstrip("/")) if path.startswith("/") else path
    return str(below), str(info.get("backing-filename-format") or "")


def read(info: dict[str, Any]) -> Image:
    """The image that `qemu-img info --output=json` describes."""
    special = info.get("format-specific", {}).get("data", {})
    found = tuple(Snapshot(item["name"], bool(item.get("vm-state-size"))) for item in info.get("snapshots", ()))
    if special.get("corrupt"):
        return Image(found, "snapshot.corrupt", "it is marked as corrupt")
    if special.get("data-file"):
        return Image(found, "snapshot.format", "its data lie in a separate raw file, so it holds no snapshots")
    return Image(found)
