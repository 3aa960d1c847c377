"""`vfioctl guest save` and `discard-saved`: memory that is kept while a guest is off, and given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.plugin import Question, asking, changing, guest_names
from vfioctl_guest.life import (
    SAVED,
    Doing,
    must_keep_nothing_of_the_host,
    must_run,
    nothing_to_do,
    perform,
    step,
    subject,
)

if TYPE_CHECKING:
    from vfioctl.plugin import Call, Result

LONG = 3600.0  # seconds: the memory is written to a disk
LOSS = "guest.unconfirmed_discard"


@click.command()
@click.argument("name", shell_complete=guest_names)
@changing
@click.pass_obj
def save(call: Call, name: str, node: str, *, dry_run: bool) -> Result:
    """Write the memory of the guest NAME to its node and switch it off; its next start goes on from there.

    Until then it is `saved`, and what its memory belongs to is not changed: its disks, its configuration. ^C lets it
    run on.
    """
    about = subject(call, name, node)
    if about.guest.state == SAVED:
        return nothing_to_do(about, "is saved already")
    must_run(about)
    must_keep_nothing_of_the_host(about)
    saved = step(about, "domain.save", "its memory is to be kept while it is off", deadline=LONG)
    return perform(call, about, (saved,), Doing("save", dry_run))


@click.command("discard-saved")
@click.argument("name", shell_complete=guest_names)
@asking
@changing
@click.pass_obj
def discard_saved(call: Call, name: str, node: str, *, yes: bool, dry_run: bool) -> Result:
    """Give up the saved memory of the guest NAME: its next start boots, as after a power cut."""
    about = subject(call, name, node)
    if not about.guest.saved:
        return nothing_to_do(about, "has no saved memory")
    if yes:
        call.agree(LOSS)
    lines = (f"What guest {about.name} had in its memory will be lost; its disks stay as they are.",)
    gone = step(about, "domain.discard_saved", "nobody needs its memory any more")
    return perform(call, about, (gone,), Doing("discard-saved", dry_run, Question(LOSS, lines)))
