"""Which PCI functions have mounted disks or swap behind them. Reads only."""

from __future__ import annotations

import os
from collections.abc import Iterable

from vfioctl.host.readers import ADDRESS, entries, raw
from vfioctl.paths import Paths

MOST_PARENTS = 8  # dm over md over dm …
TABLE_SIZE = 1 << 22


def controllers(paths: Paths) -> dict[str, tuple[str, ...]]:
    """PCI address → the mount points (or "swap") of disks behind it, also through dm, md and partitions."""
    found: dict[str, list[str]] = {}
    for device, place in _used(paths):
        for address in _behind(paths, device, MOST_PARENTS):
            found.setdefault(address, []).append(place)
    return {address: tuple(dict.fromkeys(places)) for address, places in sorted(found.items())}


def _used(paths: Paths) -> Iterable[tuple[str, str]]:
    """(MAJOR:MINOR, mount point) of every mounted block device, (name, "swap") of every swap device."""
    table = (raw(os.path.join(paths.proc, "self", "mountinfo"), TABLE_SIZE) or b"").decode("utf-8", "replace")
    for line in table.splitlines():
        fields = line.split(" ")
        if len(fields) > 9:  # noqa: PLR2004 -- proc(5): six fields, optional ones, "-", type, source, options
            yield from _mounted(fields)
    swaps = (raw(os.path.join(paths.proc, "swaps")) or b"").decode("utf-8", "replace")
    for line in swaps.splitlines()[1:]:
        if line.startswith("/dev/"):
            yield os.path.basename(line.split()[0]), "swap"


def _mounted(fields: list[str]) -> Iterable[tuple[str, str]]:
    number, place, source = fields[2], fields[4], fields[fields.index("-") + 2] if "-" in fields else ""
    place = place.replace("\\040", " ")
    if not number.startswith("0:"):
        yield number, place
    elif source.startswith("/dev/"):  # btrfs and overlays show an anonymous number
        yield os.path.basename(os.path.realpath(source)), place


def _behind(paths: Paths, device: str, depth: int) -> set[str]:
    """The PCI functions behind the block device `device`, given as MAJOR:MINOR or as a name."""
    kind = "dev/block" if ":" in device else "class/block"
    path = os.path.realpath(paths.at("sys", kind, device))
    below = entries(os.path.join(path, "slaves")) or entries(os.path.join(path, "..", "slaves"))
    if below and depth:
        return {address for name in below for address in _behind(paths, name, depth - 1)}
    parts = [part for part in path.split("/") if ADDRESS.fullmatch(part)]
    return {parts[-1]} if parts else set()
