"""`vfioctl plugins list`: what is installed, in which state, and what it claims. Works without root."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.actions.plugins import installed
from vfioctl.result import Result


@click.command()
@click.pass_obj
def command(call: Call) -> Result:
    """List the plugins with version, state and claims.

    A plugin that `disabled_plugins` names is disabled: for every guest, or for those whose file says so.
    """
    return installed(call)
