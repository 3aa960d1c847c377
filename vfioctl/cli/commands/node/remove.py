"""`vfioctl node remove NAME`: a host is no node any more."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.cli.types import NODE
from vfioctl.result import Result
from vfioctl.verbs.options import asking


@click.command()
@click.argument("name", type=NODE)
@asking
@click.pass_obj
def command(call: Call, name: str, *, yes: bool) -> Result:
    """Remove a node. Its file goes, and nothing on that host is changed."""
    from vfioctl.actions.node_files import remove

    return remove(call, name, yes=yes)
