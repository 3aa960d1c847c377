"""`vfioctl guest stop`: asks a guest to shut down, or switches it off. `destroy` says which of two things is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import click

from vfioctl.plugin import Refused, argument, changing, guest_names, on_node, word
from vfioctl_guest.life import (
    OFF,
    QUICK,
    SAVED,
    Doing,
    hinting,
    must_not_be_paused,
    nothing_to_do,
    perform,
    step,
    subject,
)
from vfioctl_guest.names import NOTHING_CHANGED

if TYPE_CHECKING:
    from vfioctl.plugin import Call, Result

PATIENCE = 120.0
LONGEST = 24 * 3600.0
seconds = click.option(
    "--timeout", type=click.FloatRange(1.0, LONGEST), default=PATIENCE, show_default=True, metavar="SECONDS",
    help="How long it is asked before that is given up.",
)  # fmt: skip


@click.command()
@click.argument("name", shell_complete=guest_names)
@click.option("--force", is_flag=True, help="Switch it off at once, as if its power was cut.")
@seconds
@changing
@click.pass_obj
def stop(call: Call, name: str, node: str, *, force: bool, timeout: float, dry_run: bool) -> Result:
    """Shut the guest NAME down: ask it, and wait until it is off.

    It is asked through its agent where that is connected, then by its power button, again every 10 s until the
    timeout. One that does not shut down is left running. With --force it is switched off instead, and loses what it
    has not written.
    """
    about = subject(call, name, node)
    if about.guest.state in (OFF, SAVED):
        return nothing_to_do(about, "is off already" + (", with its memory saved" if about.guest.saved else ""))
    if not force:
        must_not_be_paused(about)
    how, deadline = ("destroy", QUICK) if force else ("shutdown", timeout + QUICK)
    reason = "it is switched off" if force else "it is asked to shut down"
    stopped = step(about, "domain.stop", reason, deadline=deadline, how=how, seconds=timeout)
    result = perform(call, about, (stopped,), Doing("stop", dry_run=dry_run))
    return hinting(result, "guest.deaf", f"Ask it for longer: vfioctl guest stop {about.called} --timeout 600",
                   f"Or switch it off, as if its power was cut: vfioctl guest stop {about.called} --force")  # fmt: skip


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("name", shell_complete=guest_names)
@click.argument("more", nargs=-1, type=click.UNPROCESSED, metavar="")
@on_node
@click.pass_obj
def destroy(call: Call, name: str, node: str, more: tuple[str, ...]) -> NoReturn:  # noqa: ARG001 -- virsh's options
    """Does nothing: to virsh the word means to switch off, elsewhere to delete. It says how to do either."""
    named = argument(name) if node == "local" else f"{argument(name)} --node {word(node)}"
    raise Refused(
        "guest.destroy", "`destroy` switches a guest off in virsh, and deletes it elsewhere: it does neither here.",
        state=NOTHING_CHANGED, hints=(f"Switch it off with: vfioctl guest stop {named} --force",
                                      f"Or delete it with its disks: vfioctl guest delete {named}"),
    )  # fmt: skip
