"""The verbs that plugins bring, read from the manifest. Imports neither a plugin nor importlib.metadata."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from vfioctl import files
from vfioctl.errors import Unanswered
from vfioctl.ownership import writable_by_others
from vfioctl.paths import Paths
from vfioctl.reach import must_answer
from vfioctl.verbs.row import Group, Row


class Listed(NamedTuple):
    """What plugins bring; `unread` is why the manifest may not say all of it, "" when it does."""

    rows: tuple[Row, ...] = ()
    groups: tuple[Group, ...] = ()
    unread: str = ""


def read(paths: Paths, silent: dict[str, float] | None = None) -> Listed:
    """What the manifest lists; nothing when it is missing, damaged, of another version, or others can write it."""
    try:
        must_answer(paths.state, silent=silent)
        os.lstat(paths.manifest)
        if why := writable_by_others(paths.manifest, paths.root):
            return Listed(unread=why)
        data = files.read_json(paths.manifest)
        return of(data)._replace(unread=_outdated(data))
    except FileNotFoundError:
        return Listed(unread="the list of plugins is missing")
    except Unanswered:
        return Listed(unread=f"{paths.state} does not answer")
    except (OSError, ValueError, KeyError, TypeError):
        return Listed(unread=f"the list of plugins, {paths.manifest}, cannot be read")


def _outdated(data: Mapping[str, Any]) -> str:
    """Why there may be more than the manifest lists, or ""."""
    changed = any(_mtime(stamp["path"]) != stamp["mtime"] for stamp in data["stamps"])
    return "something was installed or removed since the list of plugins was made" if changed else ""


def _mtime(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def of(data: Mapping[str, Any]) -> Listed:
    """What the manifest in `data` lists. Raises KeyError, TypeError where that is none."""
    groups = tuple(Group(str(row["name"]), str(row["help"])) for row in data["groups"])
    return Listed(tuple(_row(row) for row in data["commands"]), groups)


def _row(row: Mapping[str, Any]) -> Row:
    name, text, target, view, effect, plugin = (
        str(row[key]) for key in ("name", "help", "target", "view", "effect", "plugin")
    )
    terminal = bool(row.get("terminal", False))  # a list that an older vfioctl made has no such key
    return Row(name, text, target, view, effect, plugin=plugin, prints=bool(row["prints"]), terminal=terminal)
