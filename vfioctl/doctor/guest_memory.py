"""Whether the host has the huge pages that a guest asks for; one that runs has them already. Reads only."""

from __future__ import annotations

from collections.abc import Iterator

from vfioctl.config.model import GuestConfig
from vfioctl.doctor.definitions import Definition, Definitions
from vfioctl.findings import Finding, Severity
from vfioctl.frozen import replace
from vfioctl.handoff import start_pages
from vfioctl.handoff.start_model import Start, as_taken
from vfioctl.host import guests
from vfioctl.host.host import Host
from vfioctl.plugin.types import Request

POOLS = "/sys/kernel/mm/hugepages, /proc/self/mounts"


def look(guest: Definition, _every: Definitions, host: Host) -> Iterator[Finding]:
    """What a plan would say of them, as a warning: steps of plugins may make pages before the start."""
    needs = as_taken(guest.domain.needs) if guest.domain.needs else None
    if needs is None or all(share.page is None for share in needs.memory):
        return
    if guest.name in guests.running(host.paths):
        return
    request = Request(guest.name, guest.domain.uuid, guest.domain, GuestConfig(guest.name), host, guest.devices)
    for finding in start_pages.look(Start(request, needs)):
        said = f"{guest.name}: {finding.message}"
        yield replace(finding, message=said, severity=Severity.WARN, evidence=f"{guest.path}; {POOLS}")
