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
    from vfioctl.setup.install import Report


def install(call: Call, *, dry_run: bool = False) -> Result:
    """Put the hook, the recovery unit and the manifest in place; `dry_run` only says what is not there yet."""
    if not dry_run:
        call.need_root()
    here = call.composition
    report = places.install(here, lambda: isolated(here.programs, here.interpreter), dry_run=dry_run)
    result = _told(report, dry_run=dry_run)
    if not report.restart:
        return result
    text = "The running daemon looks for hooks only when it starts. Running guests live through its restart:"
    return result.saying(Message(text, "warning", "hook.daemon_older", report.restart))


def uninstall(call: Call, *, dry_run: bool = False) -> Result:
    """Remove the hook and the unit; `dry_run` only says what would go. Raises Refused while a hand-off is open."""
    if not dry_run:
        call.need_trust()
    return _told(places.uninstall(call.composition, dry_run=dry_run), dry_run=dry_run)


def _told(report: Report, *, dry_run: bool) -> Result:
    data = {
        "hook": report.hook, "changed": list(report.changed), "kept": list(report.kept), "restart": report.restart,
        "dry_run": dry_run,
    }  # fmt: skip
    return Result(data=data).saying(*(Message(note, "warning") for note in report.notes))


def verify(call: Call) -> Result:
    """What would keep the hook from running, or make it fight with another one. Changes nothing."""
    findings = checks.verify(call.composition)
    errors = tuple(Error(f.code, f.message, hints=(f.hint,)) for f in findings if f.severity is Severity.BLOCK)
    milder = (finding for finding in findings if finding.severity is not Severity.BLOCK)
    warnings = (Message(finding.message, "warning", finding.code, finding.hint) for finding in milder)
    data = {"hook": call.composition.paths.shim, "fires": not errors}
    return incomplete(data, errors).saying(*warnings)
