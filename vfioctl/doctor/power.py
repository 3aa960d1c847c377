"""Whether the host may fall asleep while a guest has a card, which then is lost or hangs. Reads only."""

from __future__ import annotations

from collections.abc import Iterator

from vfioctl.doctor.readings import Line, lines, lines_below
from vfioctl.findings import Finding, Severity
from vfioctl.host.host import Host
from vfioctl.host.readers import entries

PROGRAM = "systemd-inhibit"
LID = "PNP0C0D:"  # ACPI's id of a lid
# From the least to the last word: logind.conf(5); drop-ins of /etc and /usr are read after the file, by name.
PLACES = ("usr/lib/systemd", "etc/systemd")
SAFE_ACTIONS = ("ignore", "lock")


def findings(host: Host) -> Iterator[Finding]:
    """No program that keeps the host awake, and a lid that puts it to sleep in spite of that program."""
    if not host.booted_with_systemd():
        return
    if host.programs.find(PROGRAM) is None:
        yield Finding(
            "power.no_inhibitor", f"{PROGRAM} is not installed: nothing keeps the host awake while a guest has a card.",
            Severity.WARN, "Install systemd whole; or set inhibit_sleep = false, and never let the host sleep then.",
            evidence=f"no {PROGRAM} in {host.programs.path}",
        )  # fmt: skip
    if any(name.startswith(LID) for name in entries(host.paths.at("sys/bus/acpi/devices"))):
        yield from _lid(host)


def _lid(host: Host) -> Iterator[Finding]:
    """logind obeys the lid in spite of those who keep the host awake, unless it is told otherwise (logind.conf(5))."""
    said = {key: (value, line) for key, value, line in _settings(host)}
    action, where = said.get("HandleLidSwitch", ("suspend", None))
    obeys, _ = said.get("LidSwitchIgnoreInhibited", ("yes", None))
    if action in SAFE_ACTIONS or obeys.lower() in ("no", "false", "off", "0"):
        return
    yield Finding(
        "power.lid", f"Closing the lid makes logind {action} this host, even while a guest has a card.", Severity.WARN,
        "Write LidSwitchIgnoreInhibited=no below [Login] in /etc/systemd/logind.conf.d/vfioctl.conf, then restart.",
        evidence=where.place if where else "no HandleLidSwitch= in /etc/systemd/logind.conf: the default is suspend",
    )  # fmt: skip


def _settings(host: Host) -> Iterator[tuple[str, str, Line]]:
    found = [line for place in PLACES for line in lines(host.paths, f"{place}/logind.conf")]
    found += [line for place in PLACES for line in lines_below(host.paths, f"{place}/logind.conf.d")]
    for line in found:
        key, equals, value = line.text.partition("=")
        if equals and not key.startswith(";"):
            yield key.strip(), value.strip(), line
