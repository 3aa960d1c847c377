"""`vfioctl doctor`: what would keep devices from being given on this host. Works without root."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.actions.doctor import doctor, explain
from vfioctl.result import Result


@click.command()
@click.argument("code", required=False)
@click.pass_obj
def command(call: Call, code: str | None) -> Result:
    """Tell what would keep devices from being given here, and what helps.

    Looks at the processor, the IOMMU and its groups, the drivers, what a boot leaves on cards or gives away, who has
    a card open now, the display, power, the firmware for guests, versions, the hook and its daemon, and the
    configuration, and runs the checks of the plugins. Nothing is changed, and no guest is needed. With CODE, as in
    iommu.off, it says what that finding means, what to do about it, and whether it is found here.

    It ends with 0 when nothing speaks against a start, with 1 for a warning, with 3 when a start would be refused.
    """
    return explain(call, code) if code else doctor(call)
