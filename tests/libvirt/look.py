"""Prints the codes of what our look before a start finds on this machine, for the domain whose XML is the argument."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from vfioctl.config.model import GuestConfig
from vfioctl.events.domain import read_domain
from vfioctl.handoff.startable import start_findings
from vfioctl.host.host import Host
from vfioctl.host.model import PciDevice
from vfioctl.paths import Paths
from vfioctl.plugin.types import Request
from vfioctl.proc import Programs

CARD = PciDevice("0000:01:00.0", 0x10DE, 0x2206, 0x030000)


def main(file: str) -> None:
    domain = read_domain(Path(file).read_bytes())
    host = Host(Paths("/"), Programs("/usr/bin:/bin"))
    request = Request(domain.name, domain.uuid, domain, GuestConfig(domain.name), host, (CARD,))
    sys.stdout.write(json.dumps([finding.code for finding in start_findings(request, ())]))


if __name__ == "__main__":
    main(sys.argv[1])
