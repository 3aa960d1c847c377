"""What files say about who takes cards at the next boot: modprobe, the initramfs, driverctl. Reads only."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vfioctl.doctor.readings import Line, lines, lines_below
from vfioctl.findings import Finding, Severity
from vfioctl.host.host import Host
from vfioctl.host.model import VENDOR_DRIVERS, PciDevice
from vfioctl.host.readers import entries

VFIO = re.compile(r"(?<![\w/-])vfio[-_]pci(?![\w.-])")  # the module, and no file that is called like it
OPTIONS = re.compile(r"options\s+vfio[-_]pci\s.*\bids=(\S+)")  # modprobe.d(5)
BLACKLIST = re.compile(r"blacklist\s+(\S+)")
MODPROBE = ("usr/lib/modprobe.d", "etc/modprobe.d")
DRIVERCTL = "etc/driverctl.d"
# Lists of modules that an initramfs loads before any other driver sees a card, one name a line or in quotes.
EARLY_FILES = ("etc/initramfs-tools/modules", "etc/dracut.conf", "etc/mkinitcpio.conf")
EARLY_DIRECTORIES = ("etc/dracut.conf.d", "etc/mkinitcpio.conf.d")


def findings(host: Host) -> Iterator[Finding]:
    """Cards that a file gives to vfio-pci for good, and cards whose drivers are kept away."""
    named = tuple(_named(host))
    for line, ids in named:
        yield _taken(host, line, ids)
    if named:
        yield from (_early(line) for line in _early_lines(host) if VFIO.search(line.text))
    yield from _driverctl(host)
    yield from _blacklisted(host)


def _modprobe(host: Host) -> Iterator[Line]:
    for directory in MODPROBE:
        yield from lines_below(host.paths, directory)


def _named(host: Host) -> Iterator[tuple[Line, frozenset[str]]]:
    """Each line that tells vfio-pci which devices to take, with their ids."""
    for line in _modprobe(host):
        if found := OPTIONS.match(line.text):
            words = found[1].strip("\"'").lower().split(",")
            yield line, frozenset(":".join(word.split(":")[:2]) for word in words)


def _taken(host: Host, line: Line, ids: frozenset[str]) -> Finding:
    """A warning where every card with a screen is among them: the host would boot without a picture."""
    cards = host.displays()
    blind = bool(cards) and all(f"{card.vendor:04x}:{card.device:04x}" in ids for card in cards)
    ends = "every card of this host, so it boots without a picture" if blind else "devices, so the host never has them"
    return Finding(
        "driver.taken_by_file", f"At boot vfio-pci takes {ends}.", Severity.WARN if blind else Severity.INFO,
        "vfioctl needs none of it: take the line out, make the initramfs anew (update-initramfs -u, dracut -f, "
        "mkinitcpio -P), then restart.",
        evidence=f"{line.place}: {line.text}",
    )  # fmt: skip


def _early_lines(host: Host) -> Iterator[Line]:
    for path in EARLY_FILES:
        yield from lines(host.paths, path)
    for directory in EARLY_DIRECTORIES:
        yield from lines_below(host.paths, directory)


def _early(line: Line) -> Finding:
    return Finding(
        "driver.early", "The initramfs loads vfio-pci before any driver of the host, with ids to take.", Severity.INFO,
        "Take it out of the list, make the initramfs anew, then restart: a guest's start loads it in time.",
        evidence=f"{line.place}: {line.text}",
    )  # fmt: skip


def _driverctl(host: Host) -> Iterator[Finding]:
    for address in entries(host.paths.at(DRIVERCTL)):
        for line in lines(host.paths, f"{DRIVERCTL}/{address}"):
            if VFIO.search(line.text):
                yield Finding(
                    "driver.taken_by_driverctl", f"driverctl puts {address} on {line.text} at every boot.",
                    Severity.INFO, f"vfioctl needs none of it: driverctl unset-override {address}",
                    evidence=line.place,
                )  # fmt: skip


def _blacklisted(host: Host) -> Iterator[Finding]:
    """A card without a driver, since each one that could have it is kept away."""
    bare = [card for card in host.gpus() if card.driver is None]
    lines_of = {found[1]: line for line in _modprobe(host) if (found := BLACKLIST.match(line.text))} if bare else {}
    for card in bare:
        kept = [name for name in VENDOR_DRIVERS.get(card.vendor, ()) if name in lines_of]
        if kept:
            yield _without_driver(card, kept, [lines_of[name].place for name in kept])


def _without_driver(card: PciDevice, kept: list[str], places: list[str]) -> Finding:
    return Finding(
        "driver.blacklisted", f"{card.address} has no driver on the host: {' and '.join(kept)} may not be loaded.",
        Severity.INFO, "Nothing, if the host is to have no picture of it; else take the line out, then restart.",
        evidence=", ".join(places),
    )  # fmt: skip
