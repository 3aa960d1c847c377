"""`vfioctl guest exec`: a program in a guest, run by its agent. What it does there is never undone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.plugin import Message, Refused, Result, guest_machine, guest_names, on_node, run_in_guest
from vfioctl_guest.life import find, must_not_be_paused, must_run
from vfioctl_guest.names import NOTHING_CHANGED

if TYPE_CHECKING:
    from vfioctl.plugin import Call
    from vfioctl_guest.life import Subject

PATIENCE, LONGEST = 60.0, 24 * 3600.0
SIGNALLED = 128  # and the signal's number: as a shell says it


@click.command("exec")
@click.argument("name", shell_complete=guest_names)
@click.argument("program", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option(
    "--timeout", type=click.FloatRange(1.0, LONGEST), default=PATIENCE, show_default=True, metavar="SECONDS",
    help="How long to wait for its end.",
)  # fmt: skip
@on_node
@click.pass_obj
def exec_(call: Call, name: str, program: tuple[str, ...], node: str, *, timeout: float) -> Result:
    """Run PROGRAM in the guest NAME through its agent; it stands with its arguments behind --.

    It needs no network and no password, and no shell is between. The exit status is that of the program. What it says
    is shown when it has ended.
    """
    with call.connection(node) as connection:
        about = find(call, connection, name)
        must_run(about)
        must_not_be_paused(about)
        _must_have_agent(about)
        ended = run_in_guest(connection, about.guest.uuid, program, limit=timeout)
    result = Result(
        data={"guest": about.name, "uuid": about.guest.uuid, "node": about.node, "argv": list(program),
              "status": ended.status, "signal": ended.signal, "stdout": ended.stdout.decode(errors="replace"),
              "stderr": ended.stderr.decode(errors="replace"), "cut": ended.is_cut},
        exit_status=SIGNALLED + ended.signal if ended.signal else ended.status,
    )  # fmt: skip
    cut = Message("Its agent has kept only a part of what it said.", "warning")
    return result.saying(cut) if ended.is_cut else result


def _must_have_agent(about: Subject) -> None:
    """Raise Refused("guest.no_agent"): libvirt knows whether it is connected."""
    agent = guest_machine(about.guest.live_xml).agent
    if agent == "connected":
        return
    why = "is not connected" if agent else "has no channel: its configuration has none"
    raise Refused(
        "guest.no_agent", f"The agent of guest {about.name} {why}.", state=NOTHING_CHANGED,
        hints=(f"Log in with: vfioctl guest console {about.called}",),
    )  # fmt: skip
