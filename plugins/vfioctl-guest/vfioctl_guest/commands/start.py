"""`vfioctl guest start`: starts a guest, or lets a saved one go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.plugin import changing
from vfioctl_guest.life import (
    RUNNING,
    SAVED,
    START,
    Doing,
    find,
    must_not_be_paused,
    nothing_to_do,
    perform,
)
from vfioctl_guest.life import step as a_step
from vfioctl_guest.needs import unmet

if TYPE_CHECKING:
    from vfioctl.plugin import Call, Result


@click.command()
@click.argument("name")
@changing
@click.pass_obj
def start(call: Call, name: str, node: str, *, dry_run: bool) -> Result:
    """Start the guest NAME, or let it go on where its memory was saved.

    Its networks and pools must be active. A guest that vfioctl hands devices to is started apart from this command,
    which follows it: its start may end your login.
    """
    call.need_uncordoned(node)
    with call.connection(node) as connection:
        about = find(call, connection, name)
        if about.guest.state == RUNNING:
            return nothing_to_do(about, "is running already")
        must_not_be_paused(about)
        findings = unmet(connection, about)
    how = Doing("start", dry_run=dry_run, findings=findings, starts=True)
    if about.guest.state == SAVED:
        step = a_step(about, "domain.restore", "it goes on from its saved memory", deadline=START)
    else:
        step = a_step(about, "domain.start", "it is to run", deadline=START)
    return perform(call, about, (step,), how)
