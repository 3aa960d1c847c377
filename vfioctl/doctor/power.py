"""Whether the host may fall asleep while a guest has a card, which then is lost or hangs. Reads only."""

from __future__ import annotations

import os
from collections.abc import Iterator

from vfioctl.doctor.readings import Line, lines
from vfioctl.findings import Finding, Severity
from vfioctl.host.host import Host
from vfioctl.host.readers import entries

PROGRAM = "systemd-inhibit"
LID = "PNP0C0D:"  # ACPI's id of a lid
# Of files with one name the first counts, and drop-ins follow the main file by their names, wherever they are:
# logind.conf(5) of systemd 257.
PLACES = ("etc/systemd", "run/systemd", "usr/local/lib/systemd", "usr/lib/systemd")
FILE, DROP_INS = "logind.conf", "logind.conf.d"
OWN = "/etc/systemd/logind.conf.d/vfioctl.conf"
OBEYS = "LidSwitchIgnoreInhibited"
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
    obeys, _ = said.get(OBEYS, ("yes", None))
    if action in SAFE_ACTIONS or obeys.lower() in ("no", "n", "false", "f", "off", "0"):
        return
    hint, last = f"Write {OBEYS}=no below [Login] in {OWN}, then restart.", outranking(host)
    if last:
        hint = f"Take {last.text} out of {last.place}, which has the last word, then restart."
    yield Finding(
        "power.lid", f"Closing the lid makes logind {action} this host, even while a guest has a card.", Severity.WARN,
        hint, evidence=where.place if where else f"no HandleLidSwitch= in /{PLACES[0]}/{FILE}: the default is suspend",
    )  # fmt: skip


def outranking(host: Host) -> Line | None:
    """What says whether logind obeys the lid, whatever our drop-in says of that: one whose name comes later."""
    said = {key: line for key, _, line in _settings(host)}
    directory, _, name = said[OBEYS].place.rpartition(":")[0].rpartition("/") if OBEYS in said else ("", "", "")
    return said[OBEYS] if directory.endswith(DROP_INS) and name > os.path.basename(OWN) else None


def _settings(host: Host) -> Iterator[tuple[str, str, Line]]:
    main = [f"{place}/{FILE}" for place in PLACES if os.path.lexists(host.paths.at(f"{place}/{FILE}"))]
    directories = [f"{place}/{DROP_INS}" for place in reversed(PLACES)]
    drop_ins = {name: f"{directory}/{name}" for directory in directories for name in entries(host.paths.at(directory))}
    paths = (*main[:1], *(path for name, path in sorted(drop_ins.items()) if name.endswith(".conf")))
    for line in (line for path in paths for line in lines(host.paths, path)):
        key, equals, value = line.text.partition("=")
        if equals and not key.startswith(";"):
            yield key.strip(), value.strip(), line
