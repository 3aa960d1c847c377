"""`vfioctl node devices [NODE]`: what is in a node, and whose it is."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.cli.types import NODE
from vfioctl.result import Result
from vfioctl.verbs.options import on_nodes
from vfioctl.virt.devices import KINDS


@click.command()
@click.argument("name", type=NODE, required=False, metavar="[NODE]")
@click.option("--kind", "kinds", type=click.Choice(KINDS), multiple=True, help="Only these; may be given again.")
@on_nodes
@click.pass_obj
def command(call: Call, name: str | None, kinds: tuple[str, ...], node: str, *, all_nodes: bool) -> Result:
    """List the devices of a node, and whose each is.

    Cards and PCI functions have IOMMU group and driver, then come USB, network and disks. Of each it says which guest
    has it now, and which gets it at its next start. NODE is a name or a URI; without it
    this host. `vfioctl gpu list` says more of the cards of this host.
    """
    from vfioctl.actions.node_devices import devices

    return devices(call, name or "", node, kinds, all_nodes=all_nodes)
