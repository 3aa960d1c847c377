"""Network interfaces of the simulated machine in sysfs, and the routes and connections that /proc/net shows."""

from __future__ import annotations

import ipaddress
import os
import sys
from typing import TYPE_CHECKING

from vfioctl.testing.kernel.devices import DeviceNode
from vfioctl.testing.kernel.nodes import Attribute, Constant, Directory, Link
from vfioctl.testing.kernel.processes import socket_of

if TYPE_CHECKING:
    from vfioctl.testing.kernel.core import Kernel
    from vfioctl.testing.kernel.pci import Device
    from vfioctl.testing.model import FakeLink

HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
CONNECTIONS = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
HERE, GATEWAY = "192.168.0.2", "0100A8C0"
UP, UP_GATEWAY = "0001", "0003"
TAP_MAJOR = 240
ETHERNET = "1"  # ARPHRD_ETHER


def attach(kernel: Kernel, device: Device, name: str) -> None:
    """The interface `name` of `device`, and its ties to those above it."""
    place = device.directory.directory("net").directory(name)
    _describe(place)
    place.add("device", Link(f"../../../{device.address}"))
    kernel.sys.directory("class/net").add(name, Link(f"../../{device.sysfs}/net/{name}"))
    for link in _above(kernel, name):
        up = "../" * place.path.count("/")
        place.add(f"upper_{link.name}", Link(f"{up}devices/virtual/net/{link.name}"))
        if not (link.tap or "." in link.name):
            place.add("master", Link(f"{up}devices/virtual/net/{link.name}"))


def detach(kernel: Kernel, name: str) -> None:
    """The macvtaps above the interface `name` go with it; whoever has one open keeps the node."""
    for link in _above(kernel, name):
        if link.tap:
            for place in ("class/net", "devices/virtual/net"):
                kernel.sys.directory(place).drop(link.name)
            kernel.nodes.remove(f"/dev/tap{link.tap}")


def _above(kernel: Kernel, name: str) -> tuple[FakeLink, ...]:
    """The interfaces above `name` that are still there."""
    there = kernel.sys.directory("class/net").children
    return tuple(link for link in kernel.spec.links if name in link.lower and link.name in there)


def fill_network(kernel: Kernel) -> None:
    """The interfaces that are above others, /proc/net and its files."""
    for link in kernel.spec.links:
        place = kernel.sys.directory(f"devices/virtual/net/{link.name}")
        _describe(place)
        for lower in link.lower:
            place.add(f"lower_{lower}", Link(f"../../../../class/net/{lower}"))
        kernel.sys.directory("class/net").add(link.name, Link(f"../../devices/virtual/net/{link.name}"))
        if link.tap:
            _make_tap(kernel, link, place)
    files = kernel.proc.directory("self/net")
    files.add("route", Constant(_routes(kernel).encode()))
    files.add("tcp", Attribute(lambda: _connections(kernel)))


def _make_tap(kernel: Kernel, link: FakeLink, place: Directory) -> None:
    """The node of a macvtap. Its number is the interface's, its minor is not (drivers/net/macvtap.c)."""
    name, minor = f"tap{link.tap}", 1 + sum(node.startswith("/dev/tap") for node in kernel.nodes.by_path)
    place.directory(f"macvtap/{name}").add("dev", Constant(f"{TAP_MAJOR}:{minor}"))
    place.add(name, Link(f"macvtap/{name}"))
    kernel.nodes.add(DeviceNode(f"/dev/{name}", os.makedev(TAP_MAJOR, minor), None))


def _describe(place: Directory) -> None:
    place.add("operstate", Constant("up"))
    place.add("type", Constant(ETHERNET))


def _routes(kernel: Kernel) -> str:
    first = [("default", spec.network) for spec in kernel.spec.devices if spec.network and spec.driver][:1]
    given = kernel.spec.routes or first
    return HEAD + "".join(_route(place, name, 100 * index) for index, (place, name) in enumerate(given))


def _route(place: str, interface: str, metric: int) -> str:
    network = ipaddress.IPv4Network("0.0.0.0/0" if place == "default" else place)
    via, flags = (GATEWAY, UP_GATEWAY) if place == "default" else ("00000000", UP)
    words = (interface, _hex(network.network_address), via, flags, 0, 0, metric, _hex(network.netmask), 0, 0, 0)
    return "\t".join(str(word) for word in words) + "\n"


def _hex(address: ipaddress.IPv4Address) -> str:
    """An address as the kernel writes it: a number in the machine's byte order."""
    return f"{int.from_bytes(address.packed, sys.byteorder):08X}"


def _connections(kernel: Kernel) -> str:
    """Every established TCP connection of a process; this host is 192.168.0.2."""
    lines: list[str] = []
    for process in kernel.processes.by_pid.values():
        for index, peer in enumerate(process.spec.peers):
            here, there = (_hex(ipaddress.IPv4Address(address)) for address in (HERE, peer))
            ends = f"{here}:{process.spec.port:04X} {there}:C350 01 00000000:00000000 00:00000000 00000000"
            lines.append(f"{len(lines):4}: {ends} {process.spec.uid:5} 0 {socket_of(process.pid, index)} 1\n")
    return CONNECTIONS + "".join(lines)
