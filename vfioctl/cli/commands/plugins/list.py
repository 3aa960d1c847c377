"""`vfioctl plugins list`: what is installed, in which state, what it claims and adds. Works without root."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.result import Result


@click.command()
@click.pass_obj
def command(call: Call) -> Result:
    """List the plugins with version, state and claims.

    A plugin that `disabled_plugins` names is disabled: for every guest, or for those whose file says so. Each command
    of a plugin is imported, to say which cannot be run.
    """
    from vfioctl.actions.facts import installed
    from vfioctl.actions.plugins import described
    from vfioctl.verbs.judged import commands, messages

    found = installed(call)
    added = commands(found)
    return described(call, found, added).saying(*messages(found, added))
