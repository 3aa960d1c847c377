"""`vfioctl plugins refresh`: search for plugins and write the manifest that the hook reads."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.result import Result


@click.command()
@click.pass_obj
def command(call: Call) -> Result:
    """Search for plugins and write the manifest.

    The hook reads only the manifest. It is written anew by itself when a package was installed or removed. Each plugin
    is registered with pluggy, to say what is wrong with its hooks before a guest is started.
    """
    from vfioctl.actions.plugins import refresh
    from vfioctl.verbs.judged import commands

    return refresh(call, commands)
