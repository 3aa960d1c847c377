"""`vfioctl guest start`: starts a guest, or lets a saved one go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.plugin import changing, guest_names, replace
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
from vfioctl_guest.seed.handing import first, read_seed, take_away, together

if TYPE_CHECKING:
    from vfioctl.plugin import Call, Result, StepProposal
    from vfioctl_guest.life import Subject


@click.command()
@click.argument("name", shell_complete=guest_names)
@changing
@click.pass_obj
def start(call: Call, name: str, node: str, *, dry_run: bool) -> Result:
    """Start the guest NAME, or let it go on where its memory was saved.

    Its networks and pools must be active. The second start of a new guest takes its seed away, which it has read by
    then. A guest that vfioctl hands devices to is started apart from this command,
    which follows it: its start may end your login.
    """
    call.need_uncordoned(node)
    with call.connection(node) as connection:
        about = find(call, connection, name)
        if about.guest.state == RUNNING:
            return nothing_to_do(about, "is running already")
        must_not_be_paused(about)
        findings, seed = unmet(connection, about), read_seed(call, connection, about)
    taken = take_away(call, about, seed, dry_run=dry_run) if seed and not findings else None
    if taken and taken.exit_status:
        return taken
    started = perform(call, about, *_starting(about, Doing("start", dry_run, findings=findings, starts=True)))
    return together(taken, started) if taken else started


def _starting(about: Subject, how: Doing) -> tuple[tuple[StepProposal, ...], Doing]:
    """The steps, and how they are carried out."""
    if about.guest.state == SAVED:
        return (a_step(about, "domain.restore", "it goes on from its saved memory", deadline=START),), how
    before, contents = first(about)
    start = a_step(about, "domain.start", "it is to run", deadline=START)
    return (*before, replace(start, after=tuple(one.id for one in before))), replace(how, contents=contents)
