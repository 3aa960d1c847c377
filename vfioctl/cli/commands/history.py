"""`vfioctl history [ID]`: past hand-offs, or one and where its time went. Works without root where it may read."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.cli.types import MANAGED, RECORD
from vfioctl.result import Result


@click.command()
@click.argument("hand_off", type=RECORD, metavar="[ID]", required=False)
@click.option("--guest", type=MANAGED, help="Only those of this guest.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Show at most N.")
@click.pass_obj
def command(call: Call, hand_off: str | None, guest: str | None, limit: int) -> Result:
    """List past hand-offs, or show one and where its time went.

    With an ID, the beginning of one, or `last`, the steps of that hand-off are shown as a waterfall: one bar each,
    placed at the time when it began. Starts that were refused are on record too.
    """
    from vfioctl.actions.history import history

    return history(call, hand_off, guest, limit)
