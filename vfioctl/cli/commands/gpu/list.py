"""`vfioctl gpu list`: the cards by IOMMU group. Works without root."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.result import Result


@click.command()
@click.option("--all", "everything", is_flag=True, help="Show every PCI device, not only the groups with a card.")
@click.pass_obj
def command(call: Call, everything: bool) -> Result:  # noqa: FBT001 -- click's signature
    """List the cards by IOMMU group.

    A group is what the kernel can give away: everything in it that has a host driver must go along or stand still.
    """
    from vfioctl.actions.cards import cards

    return cards(call, everything=everything)
