"""`vfioctl plan GUEST`: what a start would do and how it returns. Works without root, changes nothing."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.cli.types import GUEST, xml_option
from vfioctl.result import Result


@click.command()
@click.argument("guest", type=GUEST)
@xml_option
@click.option("--end-session", is_flag=True, help="Plan as if the guest file said session = \"end\".")
@click.pass_obj
def command(call: Call, guest: str, xml: str | None, end_session: bool) -> Result:  # noqa: FBT001 -- click's signature
    """Show what a start would do and how it returns; nothing is done.

    Each step is shown with its reason, how far its undo restores what was, until when it is undone, and its deadline.
    Exit status 3 when a start would be refused; everything that speaks against it is shown at once. Of a guest that
    runs it shows since when it has its devices, and how they return when it stops.
    """
    from vfioctl.actions.plan import plan

    return plan(call, guest, xml, end_session=end_session)
