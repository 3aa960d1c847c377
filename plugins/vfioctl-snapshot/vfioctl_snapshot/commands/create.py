"""`vfioctl snapshot create`: keeps a guest as it is now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.plugin import Result, changing, guest_names, new_id
from vfioctl_snapshot import names
from vfioctl_snapshot.commands.work import Doing, disks_only, perform, subject, wish
from vfioctl_snapshot.create import create as draft

if TYPE_CHECKING:
    from vfioctl.plugin import Call


@click.command()
@click.argument("guest", shell_complete=guest_names)
@click.argument("name", required=False)
@click.option("--quiesce", is_flag=True, help="Let the file systems of a running guest stand still for it.")
@disks_only
@changing
@click.pass_obj
def create(
    call: Call, guest: str, name: str | None, node: str, *, quiesce: bool, disks_only: bool, dry_run: bool
) -> Result:
    """Keep GUEST as it is now: its disks, its NVRAM, the state of its TPM and its configuration of them.

    The guest goes on in new images over its present ones, which nobody writes to any more. `vfioctl snapshot revert`
    goes back. Without NAME the snapshot is called after the moment.

    Of a guest that runs, the disks are kept and not its memory: it finds them as after a power cut. With --quiesce
    its agent writes out everything first, and lets no program write meanwhile.
    """
    about = subject(call, guest, node, by_libvirt=True)
    wanted = wish(name or "", new_id(), disks_only=disks_only)
    called = names.free(names.stamp(wanted.now), about.names) if name is None else name
    names.check_new(called, about.facts.name, about.names)
    wanted = wish(called, wanted.operation, disks_only=disks_only, quiesce=quiesce)
    made = draft(about.facts, about.settings, wanted)
    return perform(call, about.facts, made, Doing("create", wanted.operation, dry_run=dry_run))
