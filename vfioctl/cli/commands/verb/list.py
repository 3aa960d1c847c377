"""`vfioctl verb list`: every verb with its effect and its parameters, for other doors too. Works without root."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.result import Result
from vfioctl.verbs.described import described


@click.command()
@click.pass_obj
def command(call: Call) -> Result:
    """List every verb with its effect and its parameters.

    The effect is what a caller has to ask, log and authorise: read, change, or destroy. With --format json each verb
    has its parameters with type, default and choices. One that cannot be loaded is listed with the reason.
    """
    from vfioctl.actions.facts import installed
    from vfioctl.verbs.judged import verbs_of

    verbs, _ = verbs_of(installed(call))
    return Result(data={"verbs": [shown for row in verbs.rows if (shown := described(row))]})
