"""The libvirt hook: installed, removed, and whether it would fire."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfioctl.findings import Severity
from vfioctl.plugin.manifest import isolated
from vfioctl.result import Error, Message, Result, incomplete
from vfioctl.setup import install as places
from vfioctl.setup import verify as checks

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call


def install(call: Call) -> Result:
    """Put the hook, the recovery unit and the manifest in place."""
    call.need_root()
    here = call.composition
    report = places.install(here, lambda: isolated(here.programs, here.interpreter))
    messages = [Message(note, "warning") for note in report.notes]
    if report.restart:
        text = "The running daemon looks for hooks only when it starts. Running guests live through its restart:"
        messages.append(Message(text, "warning", "hook.daemon_older", report.restart))
    data = {"hook": report.hook, "changed": list(report.changed), "kept": [], "restart": report.restart}
    return Result(data=data, messages=tuple(messages))


def uninstall(call: Call) -> Result:
    """Remove the hook and the unit. Raises Refused while a hand-off is unfinished."""
    call.need_trust()
    report = places.uninstall(call.composition)
    data = {"hook": report.hook, "changed": list(report.changed), "kept": list(report.kept), "restart": ""}
    return Result(data=data)


def verify(call: Call) -> Result:
    """What would keep the hook from running, or make it fight with another one. Changes nothing."""
    findings = checks.verify(call.composition)
    errors = tuple(Error(f.code, f.message, hints=(f.hint,)) for f in findings if f.severity is Severity.BLOCK)
    milder = (finding for finding in findings if finding.severity is not Severity.BLOCK)
    warnings = (Message(finding.message, "warning", finding.code, finding.hint) for finding in milder)
    data = {"hook": call.composition.paths.shim, "fires": not errors}
    return incomplete(data, errors).saying(*warnings)
