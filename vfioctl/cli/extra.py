"""The commands that plugins bring, as the manifest lists them. Imports neither a plugin nor importlib.metadata."""

from __future__ import annotations

import os

from vfioctl.cli.commands import Entry
from vfioctl.paths import Paths

SHARED_WRITE = 0o022


def plugin_commands(paths: Paths) -> tuple[Entry, ...]:
    """The rows of the manifest's commands; none when it is missing, damaged or could be written by others."""
    try:
        found = os.lstat(paths.manifest)
        if found.st_uid not in (0, os.geteuid()) or found.st_mode & SHARED_WRITE:
            return ()
        from vfioctl import files

        rows = files.read_json(paths.manifest)["commands"]
        return tuple(Entry(str(row["name"]), str(row["help"]), str(row["target"])) for row in rows)
    except (OSError, ValueError, KeyError, TypeError):
        return ()
