"""The hook of vfioctl-setup: `vfioctl doctor` looks whether the set-up is as it was left."""

from __future__ import annotations

from vfioctl.plugin import TYPE_CHECKING, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vfioctl.plugin import DoctorCheck


@hookimpl
def vfioctl_doctor_checks() -> Iterable[DoctorCheck]:
    """Whether files and boot menu still say what `vfioctl setup` has written."""
    from vfioctl_setup.drift import checks

    return checks()
