"""What the host's files say about which card a compositor or X server draws on. Reads only; sources: compositors.py."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from vfioctl.plugin import Finding, Host, Severity, read_text

ENVIRONMENT = ("etc/environment", "etc/environment.d")
XORG = ("etc/X11/xorg.conf", "etc/X11/xorg.conf.d", "usr/share/X11/xorg.conf.d")
SET = re.compile(r"\s*(?:export\s+)?(KWIN_DRM_DEVICES|WLR_DRM_DEVICES|AQ_DRM_DEVICES)=[\"']?([^\"'\s]+)")
# xorg.conf(5): decimal, "PCI:BUS@DOMAIN:DEVICE:FUNCTION"; the domain may be left out.
BUS_ID = re.compile(r"\s*BusID\s+\"PCI:(\d+)(?:@(\d+))?:(\d+):(\d+)\"", re.IGNORECASE)


def find(host: Host) -> tuple[Finding, ...]:
    """Settings that name a card which is not there: after a return the desktop would start without any."""
    return (*_environment(host), *_xorg(host))


def _lines(host: Host, places: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Each line of the files in `places`, with where it stands."""
    for place in places:
        path = host.paths.at(place)
        names = sorted(os.listdir(path)) if os.path.isdir(path) else [""]
        for name in names:
            shown = os.path.join(place, name).rstrip("/")
            for number, line in enumerate((read_text(host.paths.at(shown), follow=True) or "").splitlines(), 1):
                yield f"/{shown}:{number}", line


def _environment(host: Host) -> Iterator[Finding]:
    for place, line in _lines(host, ENVIRONMENT):
        found = SET.match(line)
        for node in found[2].split(":") if found else ():
            if found and node.startswith("/") and not os.path.exists(host.paths.at(node)):
                yield Finding(
                    "display_manager.card_missing", f"{found[1]} names {node}, which is not there.", Severity.WARN,
                    "Name the card that stays with the host; see them with: vfioctl gpu list", evidence=place,
                )  # fmt: skip


def _xorg(host: Host) -> Iterator[Finding]:
    cards = {card.address for card in host.displays()}
    for place, line in _lines(host, XORG):
        if found := BUS_ID.match(line):
            bus, domain, device, function = (int(part or 0) for part in found.groups())
            address = f"{domain:04x}:{bus:02x}:{device:02x}.{function:x}"
            if address not in cards:
                yield Finding(
                    "display_manager.xorg_bus", f"The X server is held to {address}, where there is no card.",
                    Severity.WARN, "Correct BusID, which is decimal; see the cards with: vfioctl gpu list",
                    evidence=f"{place}: {line.strip()}",
                )  # fmt: skip
