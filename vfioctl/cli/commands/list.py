"""`vfioctl list`: every managed guest, its state, devices, last outcome. Works without root, asks libvirt nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from vfioctl.cli.app import App
    from vfioctl.cli.result import Result


@click.command()
@click.pass_obj
def command(app: App) -> Result:
    """List the managed guests with state, devices and last outcome.

    Every guest that has a file in /etc/vfioctl/guests, whether it runs or not. Without root the devices and the
    outcomes are left out.
    """
    from vfioctl.cli import guests
    from vfioctl.cli.firing import warnings
    from vfioctl.cli.records import Records
    from vfioctl.cli.result import incomplete

    records = Records(app.composition.paths, app.composition.machine().host())
    rows = guests.rows(records, records.hand_offs(), records.outcomes())
    return incomplete({"guests": rows}, records.errors).saying(*records.messages(), *warnings(app))
