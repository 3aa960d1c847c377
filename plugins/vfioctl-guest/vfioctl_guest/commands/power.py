"""`vfioctl guest reboot`, `suspend` and `resume`: what is done with a guest that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.plugin import changing, guest_names
from vfioctl_guest.commands.stop import seconds
from vfioctl_guest.life import (
    PAUSED,
    QUICK,
    RUNNING,
    Doing,
    hinting,
    must_not_be_paused,
    must_run,
    nothing_to_do,
    perform,
    step,
    subject,
)

if TYPE_CHECKING:
    from vfioctl.plugin import Call, Result


@click.command()
@click.argument("name", shell_complete=guest_names)
@click.option("--force", is_flag=True, help="Reset it at once, as its reset button does.")
@seconds
@changing
@click.pass_obj
def reboot(call: Call, name: str, node: str, *, force: bool, timeout: float, dry_run: bool) -> Result:
    """Restart the guest NAME: ask it, and wait until it has begun anew.

    It is asked through its agent where that is connected, then by its power button. It takes no changes of its
    configuration: those come with a stop and a start. With --force it is reset, and loses what it has not written.
    """
    about = subject(call, name, node)
    must_run(about)
    must_not_be_paused(about)
    reason = "it is reset" if force else "it is asked to restart"
    how = {"how": "reset" if force else "ask", "seconds": timeout}
    asked = step(about, "domain.reboot", reason, deadline=timeout + QUICK, **how)
    result = perform(call, about, (asked,), Doing("reboot", dry_run=dry_run))
    return hinting(result, "guest.deaf", f"Look at it: vfioctl guest show {about.called}",
                   f"Or reset it: vfioctl guest reboot {about.called} --force")  # fmt: skip


@click.command()
@click.argument("name", shell_complete=guest_names)
@changing
@click.pass_obj
def suspend(call: Call, name: str, node: str, *, dry_run: bool) -> Result:
    """Pause the guest NAME: it stands still and keeps its memory, until `vfioctl guest resume`.

    Its clock stands still too. It keeps its memory and devices of the host; a restart of the host ends it.
    """
    about = subject(call, name, node)
    must_run(about)
    if about.guest.state == PAUSED:
        return nothing_to_do(about, "is paused already")
    return perform(call, about, (step(about, "domain.suspend", "it is to stand still"),), Doing("suspend", dry_run))


@click.command()
@click.argument("name", shell_complete=guest_names)
@changing
@click.pass_obj
def resume(call: Call, name: str, node: str, *, dry_run: bool) -> Result:
    """Let the guest NAME go on that is paused, or wake it where it sleeps.

    One that was paused since its disk could not be written goes on where it was, once its host has room again.
    """
    about = subject(call, name, node)
    must_run(about)
    if about.guest.state == RUNNING:
        return nothing_to_do(about, "is running already")
    return perform(call, about, (step(about, "domain.resume", "it is to go on"),), Doing("resume", dry_run))
