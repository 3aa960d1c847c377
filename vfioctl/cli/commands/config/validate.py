"""`vfioctl config validate`: everything wrong in the host's file and the guests' files, at once. Works without root."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from vfioctl.cli.types import MANAGED

if TYPE_CHECKING:
    from vfioctl.cli.app import App
    from vfioctl.cli.result import Error, Result
    from vfioctl.config.source import Problem


@click.command()
@click.argument("guest", type=MANAGED, required=False)
@click.pass_obj
def command(app: App, guest: str | None) -> Result:
    """Check every configuration file, or that of one guest and the host's.

    Everything wrong is shown at once, with dotted path, file, line and what was expected. Exit status 3 then.
    """
    from vfioctl.cli.facts import must_be_managed, plugin_infos
    from vfioctl.cli.result import refused
    from vfioctl.config.load import managed_guests, problems_of
    from vfioctl.config.plugins import unknown_plugins

    if guest is not None:
        must_be_managed(app, guest)
    paths, plugins = app.composition.paths, plugin_infos(app)
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
    from vfioctl.cli.result import Error

    for file in files:
        if os.path.islink(file) and not os.path.exists(file):
            message = f"{file}: it is a link to {os.readlink(file)}, which is not there."
            yield Error("config.unreadable", message, hints=("Make that file, or remove the link.",))


def _errors(found: Iterable[Problem]) -> Iterator[Error]:
    from vfioctl.cli.result import Error

    for problem in found:
        error = problem.error()
        yield Error(error.code, error.message)
