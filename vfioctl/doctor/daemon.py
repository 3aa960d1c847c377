"""Whether libvirt's daemon lets the hook work: what systemd keeps from it the hook cannot do either. Reads only."""

from __future__ import annotations

from collections.abc import Iterator

from vfioctl.errors import VfioctlError
from vfioctl.findings import Finding, Severity
from vfioctl.host.host import Host
from vfioctl.host.properties import blocks
from vfioctl.setup import daemon

DEADLINE = 5.0
# Settings of a service that reach its hooks too, and what these cannot do then (systemd.exec(5)).
WALLS = {
    "ProtectKernelModules": "no module can be loaded or unloaded",
    "ProtectKernelTunables": "nothing below /sys can be written",
    "PrivateDevices": "the nodes of cards in /dev cannot be seen",
}


def findings(host: Host) -> Iterator[Finding]:
    """A daemon whose service is walled in, and two daemons of which only one may have the guests."""
    running = daemon.running(host)
    if len({one.name for one in running}) > 1:
        names = " and ".join(f"{one.name} (process {one.pid})" for one in running)
        yield Finding(
            "hook.two_daemons", f"{names} run: each starts guests of its own, and {running[0].name} has the hook's.",
            Severity.WARN, "Keep one: systemctl disable --now libvirtd.service libvirtd.socket, or virtqemud instead.",
            evidence="/proc/PID/comm",
        )  # fmt: skip
    found = daemon.find(host)
    if found and host.booted_with_systemd():
        yield from _walls(host, f"{found.name}.service")


def _walls(host: Host, unit: str) -> Iterator[Finding]:
    argv = ("systemctl", "show", "--no-pager", f"--property={','.join(WALLS)}", "--", unit)
    try:
        shown = blocks(host.shown(argv, deadline=DEADLINE).stdout)
    except VfioctlError:
        return  # systemd does not answer: other checks say so
    for name in (name for block in shown for name, value in block.items() if name in WALLS and value == "yes"):
        yield Finding(
            "hook.walled_in", f"{unit} has {name}=yes, which holds for its hooks too: {WALLS[name]}.",
            hint=f"Take it off: systemctl edit {unit}, with {name}=no below [Service]; then systemctl restart {unit}",
            evidence=f"systemctl show --property={name} {unit}",
        )  # fmt: skip
