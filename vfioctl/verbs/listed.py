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
    """What plugins bring; `unread` is why the manifest could not say it, "" when it could."""

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
        return of(files.read_json(paths.manifest))
    except FileNotFoundError:
        return Listed(unread="the list of plugins is missing")
    except (OSError, ValueError, KeyError, TypeError, Unanswered):
        return Listed(unread=f"the list of plugins, {paths.manifest}, cannot be read")


def of(data: Mapping[str, Any]) -> Listed:
    """What the manifest in `data` lists. Raises KeyError, TypeError where that is none."""
    groups = tuple(Group(str(row["name"]), str(row["help"])) for row in data["groups"])
    return Listed(tuple(_row(row) for row in data["commands"]), groups)


def _row(row: Mapping[str, Any]) -> Row:
    name, text, target, view, effect, plugin = (
        str(row[key]) for key in ("name", "help", "target", "view", "effect", "plugin")
    )
    return Row(name, text, target, view, effect, plugin=plugin, prints=bool(row["prints"]))
