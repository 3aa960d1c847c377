"""`vfioctl config validate`: everything wrong in the host's, the guests' and plugins' files. Works without root."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.cli.types import MANAGED
from vfioctl.result import Result


@click.command()
@click.argument("guest", type=MANAGED, required=False)
@click.pass_obj
def command(call: Call, guest: str | None) -> Result:
    """Check every configuration file, those of plugins among them, or that of one guest and the host's.

    Everything wrong is shown at once, with dotted path, file, line and what was expected. Exit status 3 then.
    """
    from vfioctl.actions.validate import validate

    return validate(call, guest)
