"""The hooks, and nothing else: what the desktop is stands in desktop.py, what is done about it in steps.py."""

from __future__ import annotations

from collections.abc import Iterable

from vfioctl.plugin import DoctorCheck, Finding, Request, StepProposal, hookimpl
from vfioctl_display_manager import findings, steps
from vfioctl_display_manager.desktop import look


@hookimpl
def vfioctl_pre_start(request: Request) -> Iterable[StepProposal]:
    """End what is on the card, in the order that is known to work. Nothing when the card is not the desktop's."""
    return steps.release(look(request), request)


@hookimpl
def vfioctl_post_stop(request: Request) -> Iterable[StepProposal]:
    """See the desktop on the card again: a display manager stays active without any card."""
    return steps.verify(look(request), request)


@hookimpl
def vfioctl_preflight(request: Request) -> Iterable[Finding]:
    """Whose session would have to end, and whether it may."""
    return findings.about(look(request), request)


@hookimpl
def vfioctl_doctor_checks() -> Iterable[DoctorCheck]:
    """Whether the display manager can be found."""
    from vfioctl_display_manager.doctor import checks  # never on the hook path

    return checks()
