"""`vfioctl config validate`: everything wrong in the host's file and the guests' files, at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from vfioctl.cli.options import verb

if TYPE_CHECKING:
    from vfioctl.cli.app import App
    from vfioctl.cli.result import Error, Result

NAME = "config validate"


@verb("validate")
@click.argument("guest", required=False)
@click.pass_obj
def command(app: App, guest: str | None) -> Result:
    """Check every configuration file, or that of one guest and the host's.

    Everything wrong is shown at once, with dotted path, file, line and what was expected. Exit status 3 then.
    """
    from vfioctl.cli.facts import plugin_infos
    from vfioctl.cli.result import refused
    from vfioctl.config.load import managed_guests, problems_of

    app.need_root()
    paths, plugins = app.composition.paths, plugin_infos(app)
    guests = (guest,) if guest else managed_guests(paths)
    found = dict.fromkeys(problem for name in (None, *guests) for problem in problems_of(paths, name, plugins))
    files = [paths.host_config, *(paths.guest_config(name) for name in guests)]
    return refused(NAME, {"files": files, "guests": list(guests)}, tuple(_errors(found)))


def _errors(found: object) -> Iterator[Error]:
    from vfioctl.cli.result import Error

    for problem in found:  # type: ignore[attr-defined]
        error = problem.error()
        yield Error(error.code, error.message)
