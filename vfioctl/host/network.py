"""Whether a PCI function is the host's only way to the network. Reads only."""

from __future__ import annotations

import os

from vfioctl.host.readers import ADDRESS, entries, raw
from vfioctl.paths import Paths

IPV4_TABLE, IPV6_TABLE = "route", "ipv6_route"
IPV6_FIELDS = 10


def is_only_way(paths: Paths, address: str) -> bool:
    """Whether every interface with a default route has the function at `address` alone behind it."""
    names = default_interfaces(paths)
    behind = {function for name in names for function in _behind(paths, name)}
    return behind == {address}


def default_interfaces(paths: Paths) -> tuple[str, ...]:
    """The interfaces that have a default route."""
    names = {*_ipv4(_table(paths, IPV4_TABLE)), *_ipv6(_table(paths, IPV6_TABLE))}
    return tuple(sorted(names - {"lo"}))


def _table(paths: Paths, name: str) -> list[list[str]]:
    data = raw(os.path.join(paths.proc, "self", "net", name), 1 << 20) or b""
    return [line.split() for line in data.decode("utf-8", "replace").splitlines()]


def _ipv4(rows: list[list[str]]) -> set[str]:
    """Interface, destination, gateway, flags …, mask in the eighth column: proc(5)."""
    return {row[0] for row in rows[1:] if len(row) > 7 and row[1] == row[7] == "00000000"}  # noqa: PLR2004


def _ipv6(rows: list[list[str]]) -> set[str]:
    """Destination, prefix length, source …, interface last."""
    return {row[-1] for row in rows if len(row) == IPV6_FIELDS and set(row[0]) == {"0"} and row[1] == "00"}


def _behind(paths: Paths, name: str, depth: int = 4) -> set[str]:
    """The PCI functions behind the interface `name`, also through a bridge, a bond or a VLAN."""
    base = paths.at("sys/class/net", name)
    lower = [entry.removeprefix("lower_") for entry in entries(base) if entry.startswith("lower_")]
    if lower and depth:
        return {function for other in lower for function in _behind(paths, other, depth - 1)}
    device = os.path.realpath(os.path.join(base, "device"))
    parts = [part for part in device.split("/") if ADDRESS.fullmatch(part)]
    return {parts[-1]} if parts and os.path.exists(os.path.join(base, "device")) else set()
