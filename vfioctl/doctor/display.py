"""What becomes of the desktop while a guest has the card, and whether there is a way in then. Reads only."""

from __future__ import annotations

from collections.abc import Iterator

from vfioctl.findings import Finding, Severity
from vfioctl.host.host import Host

SERVERS = ("ssh.service", "sshd.service", "ssh.socket", "sshd.socket", "dropbear.service")


def findings(host: Host) -> Iterator[Finding]:
    """On a host with one card the desktop ends for the guest, and the network is the only way in."""
    cards = host.displays()
    if not host.gpus():
        yield Finding("display.no_card", "This host has no card.", Severity.INFO,
                      "Other devices can be given all the same: vfioctl gpu list --all",
                      evidence="/sys/bus/pci/devices")  # fmt: skip
    if len(cards) != 1:
        return
    yield Finding(
        "display.only_card", f"{cards[0].address} is the only card: the desktop ends while a guest has it.",
        Severity.INFO, "Save your work before a guest with the card starts.", evidence="/sys/bus/pci/devices",
    )  # fmt: skip
    if host.booted_with_systemd() and not any(unit.is_active for unit in host.units(SERVERS)):
        yield Finding(
            "display.no_way_in", "No SSH server runs: while a guest has the only card nobody can get into this host.",
            Severity.WARN, "Install one (Debian: apt install openssh-server), and log in from elsewhere once.",
            evidence=f"none of {', '.join(SERVERS)} is active",
        )  # fmt: skip
