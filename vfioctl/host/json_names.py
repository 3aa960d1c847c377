"""Names of images that are JSON: "json:{…}", QEMU's options of a block device. Looks at nothing."""

from __future__ import annotations

import json

from vfioctl.checking import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

LOCAL = ("file", "host_device", "host_cdrom")  # drivers of QEMU whose `filename` is a path of this host


def local_file(name: str) -> str:
    """The path at the bottom of {"driver": "raw", "file": {"driver": "file", "filename": "/x"}}, or "" for none."""
    try:
        found = dict(_flat(json.loads(name.removeprefix("json:"))))
    except (ValueError, RecursionError):
        return ""
    place = ""
    while any(key.startswith(f"{place}file.") for key in found):
        place += "file."
    path = found.get(f"{place}filename")
    is_local = found.get(f"{place}driver", "file") in LOCAL
    return path if is_local and isinstance(path, str) and path.startswith("/") else ""


def _flat(said: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Nested options by their dotted names, as QEMU takes them as well: "file.filename"."""
    for key, value in said.items() if isinstance(said, dict) else ():
        if isinstance(value, dict):
            yield from _flat(value, f"{place}{key}.")
        else:
            yield f"{place}{key}", value
