"""`vfioctl list`: every managed guest, its state, devices, last outcome. Works without root, asks libvirt nothing."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.result import Result


@click.command()
@click.pass_obj
def command(call: Call) -> Result:
    """List the managed guests with state, devices and last outcome.

    Every guest that has a file in /etc/vfioctl/guests, whether it runs or not. Without root the devices and the
    outcomes are left out.
    """
    from vfioctl.actions.guests import managed

    return managed(call)
