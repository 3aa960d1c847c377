"""`vfioctl node add NAME URI`: another host's libvirt is asked from here."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.cli.types import LABEL
from vfioctl.result import Result


@click.command()
@click.argument("name")
@click.argument("uri")
@click.option("--label", "labels", type=LABEL, multiple=True, metavar="KEY=VALUE", help="A text of your own.")
@click.pass_obj
def command(call: Call, name: str, uri: str, labels: tuple[tuple[str, str], ...]) -> Result:
    """Add a node, once its libvirt has answered.

    A node is a host that runs guests; URI is that of its libvirt, as qemu+ssh://root@rack7/system. It is dialled first,
    as root and without a question.
    """
    from vfioctl.actions.node_files import add

    return add(call, name, uri, dict(labels))
