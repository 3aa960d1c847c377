"""`vfioctl hook uninstall`: removes what install put there, unless a hand-off is unfinished."""

from __future__ import annotations

import click

from vfioctl.cli.app import App
from vfioctl.cli.result import Result


@click.command()
@click.pass_obj
def command(app: App) -> Result:
    """Remove the libvirt hook and the unit.

    Configuration and history stay.
    Refused while a hand-off is unfinished: without the hook its card would not come back.
    """
    from vfioctl.setup.install import uninstall

    app.need_trust()
    report = uninstall(app.composition)
    data = {"hook": report.hook, "changed": list(report.changed), "kept": list(report.kept), "restart": ""}
    return Result(data=data)
