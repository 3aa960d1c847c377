"""`vfioctl guest reset-system`: a guest that is off starts from its template again, with all else that it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.plugin import asking, changing, guest_names
from vfioctl_guest.commands.seed_options import seeding

if TYPE_CHECKING:
    from vfioctl.plugin import Call, Result
    from vfioctl_guest.seed.given import Given


@click.command("reset-system")
@click.argument("name", shell_complete=guest_names)
@seeding
@asking
@changing
@click.pass_obj
def reset_system(call: Call, name: str, node: str, *, seed: Given, yes: bool, dry_run: bool) -> Result:
    """Put the system disk of the guest NAME, which is off, back to the template that it was made of.

    It gets a new disk above the template, and the former one is deleted. Name, UUID, MACs, NVRAM, TPM, further disks
    and media stay as they are. A guest with snapshots is refused: `vfioctl snapshot revert` is for those.

    A seed that it still has stays for the new system. Where it has gone, as it does with the start after its first
    shutdown, --user, --ssh-key and their neighbours make a new one, as `guest create` does.
    """
    from vfioctl_guest import resetting  # a completion of these options needs none of it

    return resetting.reset(call, name, node, seed, yes=yes, dry_run=dry_run)
