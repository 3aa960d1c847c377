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
    values, wrong = judged_settings(paths, file, known)
    if wrong:
        raise wrong[0]
    return values


def judged_settings(
    paths: Paths, file: str, known: Iterable[Setting]
) -> tuple[Mapping[str, Value], tuple[Refused, ...]]:
    """What `file` sets, as `read_settings` has it, and everything that is wrong in it, each with its line."""
    if not os.path.exists(file):
        said = f"{file} is not there, or is a link to nothing."
        return {}, (Refused("config.unreadable", said, state="Nothing was changed."),)
    try:
        source = read_source(file, paths.root)
    except Refused as refused:
        return {}, (refused,)
    if isinstance(source, Problem):
        return {}, (source.error(),)
    found = tuple(walked(source, {setting.path: setting for setting in known}))
    wrong = tuple(one.error() for one in found if isinstance(one, Problem))
    return dict(one for one in found if not isinstance(one, Problem)), wrong
