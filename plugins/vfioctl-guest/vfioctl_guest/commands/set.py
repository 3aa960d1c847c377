"""`vfioctl guest set`: CPUs, memory, boot order and autostart of a guest: at once where it can be, or later."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.plugin import (
    Message,
    changing,
    guest_names,
    read_capabilities,
    read_summaries,
    size,
)
from vfioctl_guest import limits, settings
from vfioctl_guest.life import Doing, find, must_not_be_saved, nothing_to_do, perform
from vfioctl_guest.tuning import Wanted, drafted

if TYPE_CHECKING:
    from vfioctl.plugin import Call, Connection, Finding, Result
    from vfioctl_guest.life import Subject


@click.command("set")
@click.argument("name", shell_complete=guest_names)
@click.option("--cpus", type=click.IntRange(1), metavar="N", help="How many CPUs it has.")
@click.option("--memory", metavar="SIZE", help="How much memory it has, such as 4G.")
@click.option("--boot", metavar="DEVICE[,DEVICE]", help="What it boots from, in that order: vda,52:54:00:12:34:56")
@click.option("--autostart/--no-autostart", default=None, help="Whether it is started with its node.")
@changing
@click.pass_obj
def set_(
    call: Call, name: str, node: str, *, cpus: int | None, memory: str | None, boot: str | None,
    autostart: bool | None, dry_run: bool,
) -> Result:  # fmt: skip
    """Change what the guest NAME has: from its next start on, and at once where it runs and can take it.

    A running guest takes CPUs up to the most that it was started with, and gives back or takes memory up to what it was
    started with, as far as its drivers do. What has to wait for its next start is said.
    """
    wanted = Wanted(cpus, None if memory is None else size(memory), tuple(boot.split(",")) if boot else (), autostart)
    if wanted == Wanted():
        raise click.UsageError("Nothing is to be changed: give --cpus, --memory, --boot or --[no-]autostart.")
    with call.connection(node) as connection:
        about = find(call, connection, name)
        findings = _limits(connection, about, wanted)
        autostarts = any(one.autostart for one in read_summaries(connection) if one.uuid == about.guest.uuid)
    must_not_be_saved(about)
    change = drafted(about, wanted, autostarts=autostarts)
    if not change.steps:
        return nothing_to_do(about, "is so already")
    result = perform(call, about, change.steps, Doing("set", dry_run, findings=findings, contents=change.contents))
    return result if result.exit_status else result.saying(*map(Message, change.said))


def _limits(connection: Connection, about: Subject, wanted: Wanted) -> tuple[Finding, ...]:
    """What its node does not have, and what a machine such as its own cannot have."""
    if wanted.cpus is None and wanted.memory is None:
        return ()
    there, (arch, machine) = read_capabilities(connection), settings.machine_of(about.guest.xml)
    if arch == there.arch:
        there = read_capabilities(connection, machine)
    return tuple(limits.findings(about.name, connection.node, there, memory=wanted.memory, cpus=wanted.cpus))
