"""Everything wrong in the host's file, the guests' files and those of plugins, at once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from vfioctl.actions.facts import must_be_managed, plugin_infos
from vfioctl.config.load import managed_guests, problems_of
from vfioctl.config.plugins import disabled, problems_of_plugins
from vfioctl.plugin.manager import Plugins
from vfioctl.result import Error, Result, refused

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.config.source import Problem
    from vfioctl.plugin.types import PluginInfo


def validate(call: Call, guest: str | None = None) -> Result:
    """Check every file, also those of plugins, or that of `guest` and the host's; refused when something is wrong."""
    if guest is not None:
        must_be_managed(call, guest)
    paths, plugins = call.composition.paths, plugin_infos(call)
    guests = (guest,) if guest else managed_guests(paths)
    named = [paths.host_config, *(paths.guest_config(name) for name in guests)]
    found = [problem for name in (None, *guests) for problem in problems_of(paths, name, plugins)]
    found += [problem for file in named for problem in problems_of_plugins(file, paths.root, plugins)]
    others, wrong = ((), ()) if guest else _of_plugins(call, plugins.values())
    errors = (*_dangling(named), *_errors(dict.fromkeys(found)), *wrong)
    return refused({"files": [*_there(named), *others], "guests": list(guests)}, errors)


def _of_plugins(call: Call, infos: Iterable[PluginInfo]) -> tuple[tuple[str, ...], tuple[Error, ...]]:
    """The files that enabled plugins have of their own, and what is wrong with them, or with a plugin itself."""
    off = disabled(call.composition.paths)
    plugins = Plugins(info for info in infos if off.status(info) == "ok")
    files = plugins.config_files(call.host())
    wrong = (*(finding for file in files for finding in file.findings), *plugins.findings)
    said = tuple(Error(one.code, one.message, hints=(one.hint,) if one.hint else ()) for one in wrong)
    return tuple(file.path for file in files), said


def _there(files: Iterable[str]) -> list[str]:
    """Those of `files` that were read."""
    return [file for file in files if os.path.exists(file)]


def _dangling(files: Iterable[str]) -> Iterator[Error]:
    """A link to nowhere manages a guest by its name and says nothing."""
    for file in files:
        if os.path.islink(file) and not os.path.exists(file):
            message = f"{file}: it is a link to {os.readlink(file)}, which is not there."
            yield Error("config.unreadable", message, hints=("Make that file, or remove the link.",))


def _errors(found: Iterable[Problem]) -> Iterator[Error]:

    for problem in found:
        error = problem.error()
        yield Error(error.code, error.message)
