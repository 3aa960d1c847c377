"""`vfioctl guest exec`: a program in a guest, run by its agent. What it does there is never undone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.plugin import Message, Result, guest_names, on_node, run_in_guest
from vfioctl_guest.life import find, must_have_agent

if TYPE_CHECKING:
    from vfioctl.plugin import Call

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
        must_have_agent(about)
        ended = run_in_guest(connection, about.guest.uuid, program, limit=timeout)
    result = Result(
        data={"guest": about.name, "uuid": about.guest.uuid, "node": about.node, "argv": list(program),
              "status": ended.status, "signal": ended.signal, "stdout": ended.stdout.decode(errors="replace"),
              "stderr": ended.stderr.decode(errors="replace"), "cut": ended.is_cut},
        exit_status=SIGNALLED + ended.signal if ended.signal else ended.status,
    )  # fmt: skip
    cut = Message("Its agent has kept only a part of what it said.", "warning")
    return result.saying(cut) if ended.is_cut else result
