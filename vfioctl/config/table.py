"""One file of settings that a plugin describes, read as strictly as the host's and the guests' files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from vfioctl.checking import TYPE_CHECKING
from vfioctl.config.load import walked
from vfioctl.config.source import Problem, read_source
from vfioctl.errors import Refused

if TYPE_CHECKING:
    from vfioctl.config.load import Value
    from vfioctl.config.schema import Setting
    from vfioctl.paths import Paths


def read_settings(paths: Paths, file: str, known: Iterable[Setting]) -> Mapping[str, Value]:
    """What `file` sets of the settings `known`, by path: each checked value with its origin, "FILE:LINE".

    Raises ConfigError (config.*) for the first thing that is wrong, with its line and the key that was probably meant;
    Refused("config.writable") where others than root could have written it.
    """
    if not os.path.exists(file):
        said = f"{file} is not there, or is a link to nothing."
        raise Refused("config.unreadable", said, state="Nothing was changed.")
    source = read_source(file, paths.root)
    if isinstance(source, Problem):
        raise source.error()
    values: dict[str, Value] = {}
    for found in walked(source, {setting.path: setting for setting in known}):
        if isinstance(found, Problem):
            raise found.error()
        values.update([found])
    return values
