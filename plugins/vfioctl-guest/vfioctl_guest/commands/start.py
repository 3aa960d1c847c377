"""`vfioctl guest start`: starts a guest, or lets a saved one go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.plugin import asking, changing, guest_names, replace
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
from vfioctl_guest.needs import START_NEEDS, asked, needed, unmet

if TYPE_CHECKING:
    from vfioctl.plugin import Call, Result, StepProposal
    from vfioctl_guest.life import Subject
    from vfioctl_guest.needs import Needs


@click.command()
@click.argument("name", shell_complete=guest_names)
@asking
@changing
@click.pass_obj
def start(call: Call, name: str, node: str, *, yes: bool, dry_run: bool) -> Result:
    """Start the guest NAME, or let it go on where its memory was saved.

    Networks and pools that it needs and that are not active are started before it, when that is agreed to, and stopped
    again where the guest does not start. The start after the first shutdown of a new guest takes its seed away, which
    it has read by then; one that was switched off or crashed keeps it. A guest that vfioctl hands devices to is started
    apart from this command, which follows it: its start may end your login.
    """
    # What looks who else has the seed takes 6 ms to import, and a completion looks for nothing.
    from vfioctl_guest.seed.handing import first, read_seed, take_away, together

    call.need_uncordoned(node)
    if yes:
        call.agree(START_NEEDS)
    with call.connection(node) as connection:
        about = find(call, connection, name)
        if about.guest.state == RUNNING:
            return nothing_to_do(about, "is running already")
        must_not_be_paused(about)
        needs = unmet(call, connection, about)
        off = needs.networks or needs.pools
        seed = None if off or needs.findings else read_seed(call, connection, about)
    taken = take_away(call, about, seed, dry_run=dry_run) if seed else None
    if taken and taken.exit_status:
        return taken
    started = perform(call, about, *_starting(about, needs, *first(about), dry_run=dry_run))
    return together(taken, started) if taken else started


def _starting(
    about: Subject, needs: Needs, marking: tuple[StepProposal, ...], contents: dict[str, bytes], *, dry_run: bool
) -> tuple[tuple[StepProposal, ...], Doing]:
    """The steps, `marking` among them, and how they are carried out."""
    saved = about.guest.state == SAVED
    kind, reason = ("restore", "it goes on from its saved memory") if saved else ("start", "it is to run")
    before = (*needed(about, needs), *marking)
    start = a_step(about, f"domain.{kind}", reason, deadline=START)
    how = Doing("start", dry_run, asked(about, needs), needs.findings, contents, starts=True)
    return (*before, replace(start, after=tuple(one.id for one in before))), how
