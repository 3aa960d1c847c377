"""`vfioctl guest stats`: what a guest uses of its node. Reads only."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from vfioctl.plugin import Backoff, Result, guest_names, on_node, read_figures
from vfioctl_guest.life import PAUSED, RUNNING, find, must_run
from vfioctl_guest.life_views import rates

if TYPE_CHECKING:
    from vfioctl.plugin import Call, Connection, GuestFigures

FOR_EVER = 365 * 24 * 3600.0
PAGE = 20  # lines below one head
KEYS = ("state", "cpus", "cpu_time", "memory", "resident", "unused", "disk_read", "disk_written", "disk_requests",
        "received", "sent")  # fmt: skip


@click.command()
@click.argument("name", shell_complete=guest_names)
@click.option("--watch", is_flag=True, help="Go on until ^C, with what it uses a second.")
@click.option(
    "--every", type=click.FloatRange(0.5, 3600.0), default=2.0, show_default=True, metavar="SECONDS",
    help="The time between two lines of --watch.",
)  # fmt: skip
@click.option("--count", type=click.IntRange(1), metavar="N", help="End --watch after N lines.")
@on_node
@click.pass_obj
def stats(call: Call, name: str, node: str, *, watch: bool, every: float, count: int | None) -> Result:
    """Show what the guest NAME uses: processor time, memory, and what went over its disks and network cards.

    The numbers count since its start. With --watch a line comes every few seconds, with what it used a second since the
    line before.
    """
    with call.connection(node) as connection:
        about = find(call, connection, name)
        must_run(about)
        uuid = about.guest.uuid
        now = _watched(call, connection, uuid, every, count or 0) if watch else _row(read_figures(connection, uuid))
    return Result(data={"stats": {"guest": about.name, "uuid": uuid, "node": about.node, **now}})


def _watched(call: Call, connection: Connection, uuid: str, every: float, count: int) -> dict[str, Any]:
    """The last figures, when `count` lines were told, 0 for no end, or the guest is off."""
    before: dict[str, Any] = {}
    since = 0.0
    for number, _ in enumerate(Backoff(FOR_EVER, first=every, longest=every)):
        now, at = _row(read_figures(connection, uuid)), time.monotonic()
        if before:
            call.caller.tell(rates(before, now, at - since, head=number % PAGE == 1))
        before, since = now, at
        if number == count > 0 or now["state"] not in (RUNNING, PAUSED):
            break
    return before


def _row(figures: GuestFigures) -> dict[str, Any]:
    return {name: getattr(figures, name) for name in KEYS}
