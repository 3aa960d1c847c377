"""Everything wrong in the host's file and the guests' files, at once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from vfioctl.actions.facts import must_be_managed, plugin_infos
from vfioctl.config.load import managed_guests, problems_of
from vfioctl.config.plugins import unknown_plugins
from vfioctl.result import Error, Result, refused

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.config.source import Problem


def validate(call: Call, guest: str | None = None) -> Result:
    """Check every file, or that of `guest` and the host's; refused when something is wrong."""
    if guest is not None:
        must_be_managed(call, guest)
    paths, plugins = call.composition.paths, plugin_infos(call)
    guests = (guest,) if guest else managed_guests(paths)
    named = [paths.host_config, *(paths.guest_config(name) for name in guests)]
    found = [problem for name in (None, *guests) for problem in problems_of(paths, name, plugins)]
    found += [problem for file in named for problem in unknown_plugins(file, paths.root, plugins)]
    errors = (*_dangling(named), *_errors(dict.fromkeys(found)))
    return refused({"files": _there(named), "guests": list(guests)}, errors)


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
