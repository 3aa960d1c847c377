"""The host check: a display manager that nobody finds is not stopped. Reads facts only."""

from __future__ import annotations

from vfioctl.plugin import DoctorCheck, Finding, Host, Severity
from vfioctl_display_manager.desktop import KNOWN


def checks() -> tuple[DoctorCheck, ...]:
    """The checks of this plugin."""
    return (DoctorCheck("display-manager.alias", "The display manager is found by its alias.", find_alias),)


def find_alias(host: Host) -> tuple[Finding, ...]:
    """A running display manager without the alias display-manager.service is only found while it holds the card."""
    if not host.booted_with_systemd() or host.display_manager():
        return ()
    running = [unit.name for unit in host.units(KNOWN) if unit.exists and unit.is_active]
    return tuple(
        Finding(
            "display_manager.no_alias",
            f"{name} runs, but display-manager.service does not name it: a start of a guest may race it.",
            Severity.WARN, hint=f"Give it the alias with: systemctl enable --force {name}",
        )
        for name in running
    )  # fmt: skip
