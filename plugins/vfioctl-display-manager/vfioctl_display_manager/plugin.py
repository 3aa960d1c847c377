"""The hooks, and nothing else: what the desktop is stands in desktop.py, what is done about it in steps.py.

What is only needed where a desktop has the card is imported there: most starts of a second card find none.
"""

from __future__ import annotations

from collections.abc import Iterable

from vfioctl.plugin import DoctorCheck, Finding, Request, StepProposal, hookimpl
from vfioctl_display_manager.desktop import look


@hookimpl
def vfioctl_pre_start(request: Request) -> Iterable[StepProposal]:
    """End what is on the card, in the order that is known to work. Nothing when the card is not the desktop's."""
    desktop = look(request)
    if not desktop.is_there:
        return ()
    from vfioctl_display_manager import steps

    return steps.release(desktop, request)


@hookimpl
def vfioctl_post_stop(request: Request) -> Iterable[StepProposal]:
    """See the desktop on the card again: a display manager stays active without any card."""
    desktop = look(request)
    if not desktop.is_there:
        return ()
    from vfioctl_display_manager import steps

    return steps.verify(desktop, request)


@hookimpl
def vfioctl_preflight(request: Request) -> Iterable[Finding]:
    """Whose session would have to end, and whether it may."""
    desktop = look(request)
    if not (desktop.is_there or desktop.holders):
        return ()
    from vfioctl_display_manager import findings

    return findings.about(desktop, request)


@hookimpl
def vfioctl_doctor_checks() -> Iterable[DoctorCheck]:
    """Whether the display manager can be found."""
    from vfioctl_display_manager.doctor import checks  # never on the hook path

    return checks()
