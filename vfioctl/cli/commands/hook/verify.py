"""`vfioctl hook verify`: tells what would stop the hook from firing."""

from __future__ import annotations

import click

from vfioctl.cli.app import App
from vfioctl.cli.result import Error, Message, Result, incomplete


@click.command()
@click.pass_obj
def command(app: App) -> Result:
    """Tell what would stop the hook from firing.

    Also what would make it fight with another hook. Nothing is changed. Without root what cannot be read is left out.
    """
    from vfioctl.findings import Severity
    from vfioctl.setup.verify import verify

    findings = verify(app.composition)
    errors = tuple(Error(f.code, f.message, hints=(f.hint,)) for f in findings if f.severity is Severity.BLOCK)
    milder = (finding for finding in findings if finding.severity is not Severity.BLOCK)
    warnings = tuple(Message(finding.message, "warning", finding.code, finding.hint) for finding in milder)
    data = {"hook": app.composition.paths.shim, "fires": not errors}
    return incomplete(data, errors).saying(*warnings)
