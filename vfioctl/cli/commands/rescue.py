"""`vfioctl rescue`: the desktop back from anything. Needs no plan that can be read, no plugin, no configuration."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.cli.types import MANAGED
from vfioctl.result import Result


@click.command()
@click.option("--guest", type=MANAGED, help="Run only the undo of this guest.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def command(call: Call, guest: str | None, yes: bool) -> Result:  # noqa: FBT001 -- click's signature
    """Bring the desktop back from anything.

    Says what it will do, and asks. Then it runs the undo that each hand-off left as plain shell in
    /run/vfioctl/guests/GUEST/undo.sh, and shows each step of it. When there is none, or one fails, the units that are
    recorded as stopped are started; when none is recorded, the display manager. A guest that runs keeps its devices:
    stop it first. Where nobody can be asked, --yes is needed.
    """
    from vfioctl.actions.rescue import UNCONFIRMED, rescue

    if yes:
        call.agree(UNCONFIRMED)
    return rescue(call, guest)
