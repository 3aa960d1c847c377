"""Which PCI functions are behind a network interface. Reads only."""

from __future__ import annotations

import os

from vfioctl.host.readers import ADDRESS, entries, link_name, number, text
from vfioctl.paths import Paths

SWITCH = "ovs-system"  # stands for Open vSwitch in the kernel, whatever bridges it has
ETHERNET = 1  # ARPHRD_ETHER


def is_behind_any(paths: Paths, address: str) -> bool:
    """Whether the function at `address` has an interface."""
    base = paths.at("sys/class/net")
    return any(address in _function(os.path.join(base, name)) for name in entries(base))


def functions(paths: Paths, name: str) -> frozenset[str]:
    """The PCI functions behind the interface `name`, also through a bridge, a bond, a VLAN or Open vSwitch.

    The kernel nests 8 interfaces (MAX_NEST_DEV), and begins anew above a switch, which may lead in a circle.
    """
    found: set[str] = set()
    seen, left = {name}, [name]
    while left:
        base = paths.at("sys/class/net", left.pop())
        below = _below(paths, base)
        found |= frozenset() if below else _function(base)
        left += set(below) - seen
        seen |= set(below)
    return frozenset(found)


def _below(paths: Paths, base: str) -> tuple[str, ...]:
    """The interfaces below the one in the directory `base`, through the switch that it may lead to."""
    return lower(base) or (lower(paths.at("sys/class/net", SWITCH)) if _leads_to_switch(base) else ())


def lower(base: str) -> tuple[str, ...]:
    """The interfaces right below the one in the directory `base`."""
    return tuple(entry.removeprefix("lower_") for entry in entries(base) if entry.startswith("lower_"))


def _leads_to_switch(base: str) -> bool:
    """Whether the interface in the directory `base` may be how the host is on a bridge of Open vSwitch.

    Such a port is plain Ethernet above nothing (net/openvswitch/vport-internal_dev.c); its bridge is known to the
    switch alone, so that it counts as above every other port. Those have the switch as their master (vport-netdev.c).
    """
    kind, described = number(os.path.join(base, "type")), text(os.path.join(base, "uevent")) or ""
    return (
        kind == ETHERNET and "DEVTYPE=" not in described and link_name(os.path.join(base, "master")) != SWITCH
        and not any(os.path.exists(os.path.join(base, mark)) for mark in ("device", "tun_flags"))
    )  # fmt: skip


def _function(base: str) -> frozenset[str]:
    """The function of the interface in the directory `base`; none when there is no device behind it."""
    link = os.path.join(base, "device")
    parts = [part for part in os.path.realpath(link).split("/") if ADDRESS.fullmatch(part)]
    return frozenset(parts[-1:]) if os.path.exists(link) else frozenset()
