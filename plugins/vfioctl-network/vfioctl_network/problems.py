"""What an active network has lost on this host, and what would mend it. Reads only.

libvirt sets all of it up when the network starts, and looks at none of it any more.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from vfioctl.plugin import Refused, VfioctlError, argument, read_text
from vfioctl_network.addresses import NOTHING_CHANGED
from vfioctl_network.firewall import IPTABLES
from vfioctl_network.problem import Command, Problem
from vfioctl_network.rules import drops, lost_rules
from vfioctl_network.tables import parsed
from vfioctl_network.wish import NAT, OWN, ROUTED

if TYPE_CHECKING:
    from vfioctl.plugin import Host, Network, Port
    from vfioctl_network.firewall import Rule
    from vfioctl_network.tables import Filter

DEADLINE = 20.0
FORWARDING, FORWARDING6 = "net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"
SAVING = (("iptables-save",), ("ip6tables-save",))


def packet_filter(host: Host) -> Filter:
    """The rules and policies of every table. Raises Refused("network.unreadable")."""
    bridged = _value(host, "proc/sys/net/bridge/bridge-nf-call-iptables") == "1"
    saved, saved6, ruleset = (_said(host, argv) for argv in (*SAVING, ("nft", "-j", "list", "ruleset")))
    return parsed(saved, saved6, ruleset, bridged=bridged)


def docker_rules(host: Host) -> tuple[Rule, ...]:
    """The rules of iptables, for whom repair may have let something through; none where it is not installed."""
    if any(host.programs.find(program) is None for (program,) in SAVING):
        return ()
    saved, saved6 = (_said(host, argv) for argv in SAVING)
    return parsed(saved, saved6, "").rules


def problems(host: Host, network: Network, ports: Iterable[Port], found: Filter) -> Iterator[Problem]:
    """Everything that is wrong with `network`, on which the interfaces `ports` of guests are."""
    if not network.active:
        hint = f"Start it with: vfioctl network start {argument(network.name)}"
        yield Problem("network.inactive", f"The network {network.name} is not active.", hint)
        return
    yield from _of_host(host, network)
    backend = _backend(host, network)
    yield from lost_rules(network, found, backend)
    yield from drops(network, found, backend)
    yield from _of_ports(host, network, ports)


def _said(host: Host, argv: tuple[str, ...]) -> str:
    hint = "Install iptables and nftables, which libvirt's networks need too."
    try:
        done = host.shown(argv, deadline=DEADLINE)
    except VfioctlError as error:
        raise Refused("network.unreadable", error.message, state=NOTHING_CHANGED, hints=(hint,)) from error
    if not done.ok:
        raise Refused("network.unreadable", f"{done.why()}.", state=NOTHING_CHANGED, hints=(hint,))
    return done.stdout


def _value(host: Host, path: str) -> str:
    return (read_text(host.paths.at(path), follow=True) or "").strip()


def _of_host(host: Host, network: Network) -> Iterator[Problem]:
    """The bridge, forwarding, and the DHCP server."""
    if network.bridge and not os.path.isdir(host.paths.at("sys/class/net", network.bridge)):
        yield Problem("network.interface", f"The bridge {network.bridge} is gone.", _again(network))
    if network.kind in (NAT, ROUTED):
        yield from _of_forwarding(host, network)
    if network.kind in OWN and _needs_server(network) and not _serves(host, network.name):
        said = f"The DHCP and DNS server of the network {network.name} does not run."
        yield Problem("network.no_server", said, _again(network))


def _of_forwarding(host: Host, network: Network) -> Iterator[Problem]:
    """libvirt switches it on for the families that the network has addresses of (networkEnableIPForwarding).

    That of IPv6 is left to people: the kernel flushes routes then that it has from a router, and libvirt refuses it
    (virNetDevIPCheckIPv6Forwarding).
    """
    sixes = [":" in one.gateway for one in network.subnets]
    if not all(sixes) and _is_off(host, FORWARDING):
        on, off = (("sysctl", "-q", "-w", f"{FORWARDING}={number}") for number in (1, 0))
        said = "This host forwards nothing: nobody on the network gets out."
        hint = f"Switch it on with: sysctl {FORWARDING}=1"
        command = Command(on, off, "this host is to forward what guests send")
        yield Problem("network.no_forwarding", said, hint, commands=(command,))
    if any(sixes) and _is_off(host, FORWARDING6):
        said = "This host forwards nothing of IPv6: nobody on the network gets out by it."
        hint = f"With accept_ra=2 for each interface that gets its routes from a router: sysctl {FORWARDING6}=1"
        yield Problem("network.no_forwarding", said, hint)


def _is_off(host: Host, name: str) -> bool:
    return _value(host, f"proc/sys/{name.replace('.', '/')}") == "0"


def _needs_server(network: Network) -> bool:
    """Whether libvirt starts a dnsmasq for it (networkStartDhcpDaemon): for DHCP, or DNS on addresses of its own."""
    if any(one.ranges or one.leases for one in network.subnets):
        return True
    dns = ET.fromstring(network.live_xml or network.xml).find("dns")
    return bool(network.subnets) and (dns is None or dns.get("enable") != "no")


def _serves(host: Host, name: str) -> bool:
    """Whether the dnsmasq runs whose pid libvirt keeps: that file outlives it, and the pid may be another's by then."""
    pid = _value(host, f"run/libvirt/network/{name}.pid")
    argv = read_text(os.path.join(host.paths.proc, pid, "cmdline")) if pid.isdigit() else None
    return f"/{name}.conf" in (argv or "")


def _backend(host: Host, network: Network) -> str:
    """What libvirt keeps its rules with, by the state that it keeps of an active network; until 10.3 it has but one."""
    document = _value(host, f"run/libvirt/network/{network.name}.xml")
    firewall = ET.fromstring(document).find("firewall") if document else None
    return IPTABLES if firewall is None else firewall.get("backend", IPTABLES)


def _of_ports(host: Host, network: Network, ports: Iterable[Port]) -> Iterator[Problem]:
    """A network that is stopped and started has a new bridge: nobody puts the ports of running guests on it.

    The ports of a bridge of Open vSwitch have its whole switch above them (net/openvswitch/vport-netdev.c), and only
    that one's own programs say more.
    """
    if not network.bridge or not os.path.isdir(host.paths.at("sys/class/net", network.bridge, "bridge")):
        return
    for port in ports:
        if not (port.live and port.device):
            continue
        link = host.paths.at("sys/class/net", port.device, "master")
        if not os.path.islink(link) or os.path.basename(os.readlink(link)) != network.bridge:
            said = f"The port {port.device} of the guest {port.guest} is not on {network.bridge}: it is cut off."
            on = ("ip", "link", "set", port.device, "master", network.bridge)
            off = ("ip", "link", "set", port.device, "nomaster")
            command = Command(on, off, f"the guest {port.guest} is to be on its network again")
            yield Problem("network.port_lost", said, f"Put it back with: {' '.join(on)}", commands=(command,))


def _again(network: Network) -> str:
    name = argument(network.name)
    return f"With its guests off: vfioctl network stop {name}, then vfioctl network start {name}"
