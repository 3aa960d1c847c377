"""The commands that plugins bring, as the manifest lists them. Imports neither a plugin nor importlib.metadata."""

from __future__ import annotations

from vfioctl.errors import Unanswered
from vfioctl.ownership import writable_by_others
from vfioctl.paths import Paths
from vfioctl.reach import must_answer
from vfioctl.verbs.row import Row


def plugin_commands(paths: Paths, silent: dict[str, float] | None = None) -> tuple[Row, ...]:
    """The rows of the manifest's commands; none when it is missing, damaged or could be written by others."""
    try:
        must_answer(paths.state, silent=silent)
        if writable_by_others(paths.manifest, paths.root):
            return ()
        from vfioctl import files

        rows = files.read_json(paths.manifest)["commands"]
        return tuple(Row(str(row["name"]), str(row["help"]), str(row["target"]), effect="change") for row in rows)
    except (OSError, ValueError, KeyError, TypeError, Unanswered):
        return ()
